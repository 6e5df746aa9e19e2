"""Where an app of somebody's own keeps what its users did: where all find it, or with the one that took it."""

from __future__ import annotations

from collections.abc import Iterable

from lab.clock import NS
from lab.model import Kind, Operation, Outcome
from lab.oracle.own_state import leaves
from lab.record import AnyEvent, AppStopped

LEAST = 3
"""So much of what other replicas had taken must have been missed."""
EXCEPTIONS = 0.1
"""The share of it that may be otherwise: a user may have done the same at two replicas."""


class OwnPlaces:
    """Fed with everything in order; memory grows with what was done."""

    def __init__(self, events: Iterable[AnyEvent] = ()) -> None:
        self._stops = {one.replica: one for one in events if isinstance(one, AppStopped)}
        self._taker: dict[str, tuple[str | None, int]] = {}
        """Who took each user's last change, and when that was acknowledged."""
        self._made: dict[str, dict[bytes, tuple[str | None, int]]] = {}
        """By user, who took what each state showed first, and when."""
        self._lost_at_stop: list[float] = []
        """Of what was missed since its taker got its stop signal: how many seconds before that it was acknowledged."""
        self._shown_elsewhere = self._missed_elsewhere = self._missed_here = 0

    def note(self, operation: Operation) -> None:
        """The next operation."""
        by = operation.final.replica
        if operation.kind is Kind.ACT and operation.outcome is Outcome.OK:
            self._taker[operation.user] = by, operation.end
        if operation.kind is not Kind.STATE or not operation.allowed or by is None:
            return
        made, wanted = self._made.setdefault(operation.user, {}), leaves(operation.allowed[-1])
        shown = leaves(operation.answer)
        for one in wanted:
            made.setdefault(one, self._taker.get(operation.user, (None, 0)))
        for one in wanted | shown:
            maker, at = made.get(one, (None, 0))
            if maker is None:
                continue
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
        if self._missed_elsewhere < LEAST or self._shown_elsewhere > most or self._missed_here > most:
            return ""
        return (
            "what a user did is shown by the replica alone that took it: it is in that one's memory or files, or in a"
            " session that no other one takes"
        )
