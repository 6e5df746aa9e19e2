"""Writes that a strike hit in a replica: of an app without idempotency nobody can promise an answer to one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import NamedTuple

from lab.clock import NS
from lab.model import Kind, Operation, Outcome, Role, Try, Value
from lab.record import AnyEvent, Step, Strike, StrikeProved, StrikeUndone

PROVED_WITHIN = 2.0
"""Seconds within which a kill is taken to hit, where the record does not say when it had."""
_WRITES = frozenset({Kind.ACT, Kind.BROWSE})
_ENDS_AT_ONCE = frozenset({"crash", "squeeze"})
"""Faults beside SIGKILL that leave their victim no moment to answer."""
_SILENCES = frozenset({"freeze", "cut"})
"""Faults that let it answer nobody while they last."""


class KilledWrites(Value):
    """How many writes ended in a container that was killed or could not answer, and what later reads showed of them."""

    writes: int = 0
    had_happened: int = 0
    had_not: int = 0
    where: str = "a killed replica"

    @property
    def text(self) -> str:
        """For people; empty where there were none."""
        if not self.writes:
            return ""
        were = "write was" if self.writes == 1 else "writes were"
        left = self.writes - self.had_happened - self.had_not
        open_ = f", of {left} nobody knows" if left else ""
        return f"{self.writes} {were} in {self.where}; {self.had_happened} had happened{open_}"


class InDoubt:
    """Keeps the writes that may not be repeated and got no answer until it is known whether a strike explains them.

    Memory grows with what failed alone.
    """

    __slots__ = ("_happened", "_last", "_writes")

    def __init__(self) -> None:
        self._writes: list[Operation] = []
        self._last: dict[str, int] = {}
        """By user, the write whose effect no read has shown yet."""
        self._happened: dict[int, bool] = {}

    def holds(self, write: Operation) -> bool:
        """Take in an operation that was not answered; whether it is for `split` to judge."""
        if write.kind not in _WRITES or write.outcome is not Outcome.UNKNOWN or write.is_repeatable:
            return False
        self._writes.append(write)
        if write.kind is Kind.ACT:  # what is part of a login shows in no state
            self._last[write.user] = write.id
        return True

    def note_state(self, state: Operation) -> None:
        """Take in a state that was read: it shows what became of the user's write just before."""
        write = self._last.pop(state.user, None)
        if write is not None and state.allowed is not None and len(state.allowed) > 1:
            self._happened[write] = state.answer == state.allowed[-1]

    def absorb(self, other: InDoubt) -> None:
        """Take over what is in doubt of other users."""
        self._writes += other._writes
        self._writes.sort(key=lambda write: write.end)
        self._last |= other._last
        self._happened |= other._happened

    def split(self, events: Sequence[AnyEvent]) -> tuple[KilledWrites, list[Operation]]:
        """Those that a strike explains, counted, and those that nothing excuses. `events` are in time order."""
        hits, slots = _hits(events), {event.replica: event.slot for event in events if isinstance(event, Step)}
        killed = [write for write in self._writes if _is_explained(write.final, hits, slots)]
        happened = [self._happened.get(write.id) for write in killed]
        is_silenced = any(isinstance(event, Strike) and event.fault_kind in _SILENCES for event in events)
        counts = KilledWrites(
            writes=len(killed),
            had_happened=happened.count(True),
            had_not=happened.count(False),
            where="a replica that was struck" if is_silenced else "a killed replica",
        )
        excused = {write.id for write in killed}
        return counts, [write for write in self._writes if write.id not in excused]


class _Hit(NamedTuple):
    """From when to when a container may have answered nobody, and its slot; "" for a balancer, which is before all."""

    since: int
    until: float
    slot: str


def _hits(events: Iterable[AnyEvent]) -> list[_Hit]:
    strikes: list[Strike] = []
    proved: dict[int, int] = {}
    undone: dict[int, int] = {}
    for event in events:
        if isinstance(event, Strike) and event.role in {Role.APP, Role.BALANCER, ""}:
            strikes.append(event)
        elif isinstance(event, StrikeProved):
            proved[event.strike] = event.at
        elif isinstance(event, StrikeUndone):
            undone.setdefault(event.strike, event.at)
    kills = [
        _Hit(one.at, proved.get(one.strike, one.at + int(PROVED_WITHIN * NS)), one.slot)
        for one in strikes
        if _ends_at_once(one)
    ]
    silences = [_Hit(one.at, undone.get(one.strike, inf), one.slot) for one in strikes if one.fault_kind in _SILENCES]
    return [*kills, *silences]


def _ends_at_once(strike: Strike) -> bool:
    if strike.fault_kind == "kill":
        return strike.signal in {"SIGKILL", ""}
    return strike.fault_kind in _ENDS_AT_ONCE


def _is_explained(one: Try, hits: Iterable[_Hit], slots: dict[str, str]) -> bool:
    """Whether it was under way when a container was struck that it may have been in."""
    places = {*one.edge} | ({slots.get(one.replica, one.replica)} if one.replica else set())
    return any(
        one.begin <= until and since <= one.end and (not slot or not places or slot in places)
        for since, until, slot in hits
    )
