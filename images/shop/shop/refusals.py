"""Why a request is not answered as asked, as exceptions that carry their HTTP status.

Refused               4xx  the request is at fault; nothing was changed
Busy                  503  too much to do just now; nothing was changed
StoreUnavailable      503  the store did not answer; `not_applied` says whether that is certain to have changed nothing
"""

from __future__ import annotations


class Refused(Exception):
    """The request can't be done as it stands; `why` is told to whoever asked."""

    def __init__(self, status: int, why: str, *, retry_after: int | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.retry_after = status, why, retry_after


class Busy(Exception):
    """The replica has too much to do; nothing was changed, and trying again soon is right."""


class StoreUnavailable(Exception):
    """The store could not be asked, or did not answer; `not_applied` only if it is certain to have changed nothing."""

    def __init__(self, why: str, *, not_applied: bool) -> None:
        super().__init__(why)
        self.why, self.not_applied = why, not_applied


def logged_out() -> Refused:
    """The refusal of whoever has no living session."""
    return Refused(401, "log in first")
