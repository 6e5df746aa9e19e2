"""What became, at the very replica that missed it, of what a read missed: a copy only ever gets newer, and a memory of
its own never gets what others wrote.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.model import Finding, Kind, Operation, Outcome
from lab.oracle.between import MISSING
from lab.oracle.witness import culprit_of, missing_read, replica_of

_SHOWN_BY = {Kind.VIEW: Kind.HISTORY, Kind.ADD: Kind.CART}
"""What is told apart by its key in a read, and in which."""


class _Trail:
    __slots__ = ("at", "begin", "had_it", "key", "kind", "later", "shown_later")

    def __init__(self, read: Operation, write: Operation) -> None:
        self.key, self.kind, self.begin, self.at = write.key, read.kind, read.begin, replica_of(read)
        self.had_it = False
        """Whether the replica had shown it before."""
        self.later = self.shown_later = False
        """Whether it was asked again, and showed it then."""


class Trails:
    """Is fed with everything; memory grows with the findings."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self._by_user: dict[tuple[str, Kind], list[_Trail]] = {}
        self._all: list[_Trail] = []
        for finding in findings:
            read, write = missing_read(finding), culprit_of(finding)
            if finding.anomaly not in MISSING or read is None or write is None:
                continue
            if _SHOWN_BY.get(write.kind) is read.kind and write.key is not None:
                trail = _Trail(read, write)
                self._all.append(trail)
                self._by_user.setdefault((finding.user, read.kind), []).append(trail)

    def take(self, operation: Operation) -> None:
        """The next operation."""
        kind = operation.kind
        if (kind is not Kind.HISTORY and kind is not Kind.CART) or operation.outcome is not Outcome.OK:
            return
        for trail in self._by_user.get((operation.user, kind), ()):
            if replica_of(operation) != trail.at:
                continue
            shown = trail.key in (operation.answer[1] if kind is Kind.HISTORY else operation.answer)
            if operation.end <= trail.begin:
                trail.had_it = trail.had_it or shown
            elif operation.begin > trail.begin:
                trail.later, trail.shown_later = True, trail.shown_later or shown

    @property
    def goes_back(self) -> bool:
        """Whether replicas miss what they themselves had shown before."""
        return sum(one.had_it for one in self._all) > FORGIVEN * len(self._all)

    @property
    def never_comes(self) -> bool:
        """Whether most that were asked again miss it still."""
        later = [one for one in self._all if one.later]
        return len(later) > FORGIVEN * len(self._all) and sum(one.shown_later for one in later) < len(later) / 2


FORGIVEN = 0.1
"""The share of what was missed about which may be otherwise than a pattern says."""
