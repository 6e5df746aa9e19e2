"""What a run shows of itself while it goes on, and to whom: the seam between the conductor and a person's screen."""

from __future__ import annotations

from typing import Protocol, Self

from lab.model import Value
from lab.report.board import Board
from lab.users.counts import CrowdCounts


class Moment(Value):
    """One moment of a run, all that a view needs."""

    now: int
    board: Board
    counts: CrowdCounts | None
    users_hurt: int
    checks: int


class View(Protocol):
    """Shows moments. Used as a context manager; never raises because of what it is shown.

    Raises OSError where nobody looks on any more, as at the end of a pipe.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def say(self, line: str) -> None:
        """One line that stays."""
        ...

    def show(self, moment: Moment) -> None: ...


class QuietView:
    """Shows nothing: whoever looks on has the record."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, line: str) -> None:
        pass

    def show(self, moment: Moment) -> None:
        pass
