"""Where an app of somebody's own keeps what its users did: where all find it, or with the one that took it."""

from __future__ import annotations

from lab.model import Kind, Operation, Outcome
from lab.oracle.own_state import leaves

LEAST = 3
"""So much of what other replicas had taken must have been missed."""
EXCEPTIONS = 0.1
"""The share of it that may be otherwise: a user may have done the same at two replicas."""


class OwnPlaces:
    """Fed with everything in order; memory grows with what was done."""

    def __init__(self) -> None:
        self._taker: dict[str, str | None] = {}
        """Who took each user's last change."""
        self._made: dict[str, dict[bytes, str | None]] = {}
        """By user, who took what each state showed first."""
        self._shown_elsewhere = self._missed_elsewhere = self._missed_here = 0

    def note(self, operation: Operation) -> None:
        """The next operation."""
        by = operation.final.replica
        if operation.kind is Kind.ACT and operation.outcome is Outcome.OK:
            self._taker[operation.user] = by
        if operation.kind is not Kind.STATE or not operation.allowed or by is None:
            return
        made, wanted = self._made.setdefault(operation.user, {}), leaves(operation.allowed[-1])
        shown = leaves(operation.answer)
        for one in wanted:
            made.setdefault(one, self._taker.get(operation.user))
        for one in wanted | shown:
            maker = made.get(one)
            if maker is None:
                continue
            if one in shown:
                self._shown_elsewhere += maker != by
            elif maker == by:
                self._missed_here += 1
            else:
                self._missed_elsewhere += 1

    @property
    def cause(self) -> str:
        """Empty where other replicas show it, too, or whoever took it does not."""
        most = EXCEPTIONS * self._missed_elsewhere
        if self._missed_elsewhere < LEAST or self._shown_elsewhere > most or self._missed_here > most:
            return ""
        return (
            "what a user did is shown by the replica alone that took it: it is in that one's memory or files, or in a"
            " session that no other one takes"
        )
