"""The floor of serving replicas: never fewer, but for what strikes took away and nobody has replaced yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lab.clock import NS
from lab.model import STORE_ROLES, Finding
from lab.oracle.mute import MUTE_FOR, MuteSpell
from lab.oracle.promises import SERVING_FLOOR, Anomaly
from lab.record import AnyEvent, Serving, Step, Strike, StrikeUndone

STORE_BACK_WITHIN = 10.0
"""Seconds after a strike on a store was undone in which replicas may still be without it."""
HEALED_AFTER = 2.0
"""Seconds after a strike from which a full count means that its victim is back without a replacement."""


def judge_floor(
    events: Iterable[AnyEvent], floor: int, *, until: int | None = None, mute: Sequence[MuteSpell] = ()
) -> tuple[int, list[Finding]]:
    """How many counts of the serving were compared, and those that were too low.

    Counts are judged from the first that reaches the floor on, up to `until`. A struck slot is excused until
    another replica gets ready in it, or until as many serve as before the strike, HEALED_AFTER or more after it. A
    strike at a balancer, a front or a deployer takes no replica away, so it excuses none. While a store is struck
    nobody can serve, which says nothing about replicas: those counts are not compared. A slot that is `mute` does not
    serve, whatever its replica says, from MUTE_FOR after its last proper answer on.
    """
    struck: dict[str, Strike] = {}
    stores = _Stores()
    reached, checks, found, total = False, 0, list[Finding](), 0
    moments = [*events, *(_Fell(spell) for spell in mute)]
    for event in sorted(moments, key=lambda one: one.at):
        if until is not None and event.at > until:
            break
        if isinstance(event, _Fell):
            silent = [spell.slot for spell in mute if spell.begin <= event.at <= spell.end and spell.slot not in struck]
            served = total - len(silent)
            if reached and silent and not stores.are_away(event.at) and served + len(struck) < floor:
                found.append(_mute(event, served, floor))
            continue
        stores.take(event)
        if isinstance(event, Strike) and event.slot:
            struck[event.slot] = event
        elif isinstance(event, Step) and event.action == "enter":
            if event.slot in struck and struck[event.slot].victim != event.replica:
                del struck[event.slot]
        elif isinstance(event, Serving):
            total = event.total
            healed = [
                slot
                for slot, strike in struck.items()
                if event.total >= strike.serving and event.at - strike.at >= HEALED_AFTER * NS
            ]
            for slot in healed:
                del struck[slot]
            reached = reached or event.total >= floor
            if reached and not stores.are_away(event.at):
                checks += 1
                if event.total + len(struck) < floor:
                    found.append(_below(event, floor, len(struck)))
    return checks, found


class _Fell(NamedTuple):
    """The moment from which on a slot counts as mute."""

    spell: MuteSpell

    @property
    def at(self) -> int:
        return self.spell.begin + int(MUTE_FOR * NS)


class _Stores:
    """Strikes on stores that still keep replicas from serving: until as many serve as before, or long after its end."""

    def __init__(self) -> None:
        self._open: dict[int, Strike] = {}
        self._until: dict[int, int] = {}

    def take(self, event: AnyEvent) -> None:
        if isinstance(event, Strike) and event.role in STORE_ROLES:
            self._open[event.strike] = event
        elif isinstance(event, StrikeUndone) and event.strike in self._open:
            self._until[event.strike] = event.at + int(STORE_BACK_WITHIN * NS)
        elif isinstance(event, Serving):
            for number, strike in list(self._open.items()):
                if event.total >= strike.serving and event.at - strike.at >= HEALED_AFTER * NS:
                    del self._open[number]

    def are_away(self, at: int) -> bool:
        return any(at <= self._until.get(number, at) for number in self._open)


def _mute(fell: _Fell, served: int, floor: int) -> Finding:
    spell = fell.spell
    return Finding(
        promise=SERVING_FLOOR,
        anomaly=str(Anomaly.MUTE),
        user="",
        at=fell.at,
        why=(
            f"{served} replicas served where {floor} must: the one in {spell.slot} said that it was ready, and answered"
            f" none of {spell.tries} tries properly in {spell.seconds:.1f} s"
        ),
    )


def _below(event: Serving, floor: int, excused: int) -> Finding:
    but = f", {excused} more were struck and not replaced yet" if excused else ""
    return Finding(
        promise=SERVING_FLOOR,
        anomaly=str(Anomaly.BELOW_FLOOR),
        user="",
        at=event.at,
        why=f"{event.total} replicas served where {floor} must{but}",
    )
