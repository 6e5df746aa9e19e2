"""What a run shows of itself while it goes on, and to whom: the seam between the conductor and a person's screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, Self

from lab.model import Finding, Value
from lab.report.board import Board
from lab.users.counts import CrowdCounts


class Moment(Value):
    """One moment of a run, all that a view needs."""

    now: int
    board: Board
    counts: CrowdCounts | None
    users_hurt: int
    checks: Mapping[str, int] = {}
    """What was compared so far, by promise: the counts that the verdict gives, too."""
    findings: Sequence[Finding] = ()
    """Those of the oracle so far, in the order in which they became certain."""
    within: float = 0.0
    """Seconds after which the run is stopped; 0: not known."""


class View(Protocol):
    """Shows moments. Used as a context manager; never raises because of what it is shown.

    Raises OSError where its output is closed, as at the end of a pipe.
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
