"""Where an app of somebody's own keeps what its users did: where all find it, or with the one, or the release, that
took it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from lab.clock import NS
from lab.model import Kind, Operation, Outcome
from lab.oracle.own_state import leaves
from lab.record import AnyEvent, AppStopped

LEAST = 3
"""So much of what other replicas had taken must have been missed."""
EXCEPTIONS = 0.1
"""The share of it that may be otherwise: a user may have done the same at two replicas."""


class _Taken(NamedTuple):
    """Who took something, and when that was acknowledged."""

    by: str | None = None
    release: str | None = None
    at: int = 0


class OwnPlaces:
    """Fed with everything in order; memory grows with what was done."""

    def __init__(self, events: Iterable[AnyEvent] = ()) -> None:
        self._stops = {one.replica: one for one in events if isinstance(one, AppStopped)}
        self._taker: dict[str, _Taken] = {}
        """Of each user's last change."""
        self._made: dict[str, dict[bytes, _Taken]] = {}
        """By user, of what each state showed first."""
        self._lost_at_stop: list[float] = []
        """Of what was missed since its taker got its stop signal: how many seconds before that it was acknowledged."""
        self._shown_elsewhere = self._missed_elsewhere = self._missed_here = 0
        self._shown: Counter[tuple[str | None, str | None]] = Counter()
        self._missed: Counter[tuple[str | None, str | None]] = Counter()
        """How much of what one release took another one, or another replica of it, showed and missed."""

    def note(self, operation: Operation) -> None:
        """The next operation."""
        by, release = operation.final.replica, operation.final.release
        if operation.kind is Kind.ACT and operation.outcome is Outcome.OK:
            self._taker[operation.user] = _Taken(by, release, operation.end)
        if operation.kind is not Kind.STATE or not operation.allowed or by is None:
            return
        made, wanted = self._made.setdefault(operation.user, {}), leaves(operation.allowed[-1])
        shown = leaves(operation.answer)
        for one in wanted:
            made.setdefault(one, self._taker.get(operation.user, _Taken()))
        for one in wanted | shown:
            maker, of, at = made.get(one, _Taken())
            if maker is None:
                continue
            if maker != by:
                (self._shown if one in shown else self._missed)[of, release] += 1
            if one in shown:
                self._shown_elsewhere += maker != by
            elif maker == by:
                self._missed_here += 1
            else:
                self._missed_elsewhere += 1
                stop = self._stops.get(maker)
                if stop is not None and at <= stop.at <= operation.begin:
                    self._lost_at_stop.append((stop.at - at) / NS)

    def _at_its_signal(self) -> str:
        """What it took before is found elsewhere: so it writes there, but too late for the last of it."""
        stop, oldest = next(iter(self._stops.values())), max(self._lost_at_stop)
        return (
            f"{stop.service} loses at {stop.signal} what it had acknowledged up to {oldest:.1f} s before: it answers"
            " before it writes, and ends without writing"
        )

    @property
    def cause(self) -> str:
        """Empty where other replicas show it, too, or whoever took it does not."""
        most = EXCEPTIONS * self._missed_elsewhere
        if len(self._lost_at_stop) >= max(LEAST, self._missed_elsewhere - most) and self._missed_here <= most:
            return self._at_its_signal() if self._shown_elsewhere > self._missed_elsewhere else ""
        if self._missed_elsewhere < LEAST or self._missed_here > most:
            return ""
        if self._shown_elsewhere > most:
            return self._of_a_release()
        return (
            "what a user did is shown by the replica alone that took it: it is in that one's memory or files, or in a"
            " session that no other one takes"
        )

    def _of_a_release(self) -> str:
        """What one release took another one never shows, and its own other replicas do."""
        for (of, by), missed in self._missed.items():
            if of == by or missed < LEAST or self._shown[of, by] > EXCEPTIONS * missed:
                continue
            if self._shown[of, of] >= LEAST and self._missed[of, of] <= EXCEPTIONS * self._shown[of, of]:
                return (
                    f"what is done at {of} is not shown by {by}: {of} keeps it in a place of its own, such as another"
                    " key, table or database"
                )
        return ""
