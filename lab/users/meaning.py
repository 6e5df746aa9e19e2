"""What an answer means, by what the action wanted: decided here alone, for the shop's users and those of other apps."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from urllib.parse import urlsplit

from lab.model import Outcome, TryResult
from lab.users.wire import HttpAnswer

REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Meaning(StrEnum):
    """What one try came to."""

    APPLIED = "applied"
    """It was answered as wanted."""
    NOT_APPLIED = "surely not applied"
    UNKNOWN = "unknown"
    """It was sent, and nothing says what became of it: no whole answer, or one that says something else."""
    LOGGED_OUT = "logged out"
    """The session that it carried is worth nothing: nothing was applied."""


def meaning_of(
    came: HttpAnswer | TryResult,
    *,
    expected: Collection[int] | None = None,
    follows: bool = False,
    is_away: bool = False,
) -> Meaning:
    """What a try means.

    `expected` are the statuses that count as success, any 2xx if None; then a redirect does too for whoever `follows`
    one. To everybody else it is an answer to another question: whether anything was done, it does not say. `is_away`:
    it sends whoever asked to log in, which is what was wanted only where its status is expected.
    """
    if not isinstance(came, HttpAnswer):
        return Meaning.NOT_APPLIED if came is TryResult.UNSENT else Meaning.UNKNOWN
    status = came.head.status
    if is_away and (expected is None or status not in expected):
        return Meaning.LOGGED_OUT
    by_itself = 200 <= status < 300 or (follows and status in REDIRECTS)
    if by_itself if expected is None else status in expected:
        return Meaning.APPLIED
    return Meaning.NOT_APPLIED if is_harmless(came) else Meaning.UNKNOWN


def sends_to(came: HttpAnswer, login_path: str) -> bool:
    """Whether the answer says 401, or redirects to the login page."""
    head = came.head
    if head.status not in REDIRECTS:
        return head.status == 401
    return path_of(head.header(b"location")) == login_path


def is_harmless(came: HttpAnswer | TryResult) -> bool:
    """Whether the try surely had no effect: never sent, or refused by an app that knows it did nothing.

    The word of the last replica says nothing of those that the balancer asked before it: after a repeat at the
    edge, an earlier one may have done it and died before it could say so.
    """
    if not isinstance(came, HttpAnswer):
        return came is TryResult.UNSENT
    head = came.head
    if head.status < 400 or len(head.edge) > 1:
        return False
    if head.status == 503:
        return head.header(b"x-not-applied") == "1"
    return head.status < 500


def outcome_of(last: Meaning, *, all_harmless: bool) -> Outcome:
    """What is known of an operation's effect after its last try; `all_harmless`: no try can have had any."""
    if last is Meaning.APPLIED:
        return Outcome.OK
    return Outcome.REFUSED if all_harmless else Outcome.UNKNOWN


def path_of(address: str) -> str:
    """The path of an address, empty for what is none."""
    try:
        return urlsplit(address).path
    except ValueError:
        return ""
