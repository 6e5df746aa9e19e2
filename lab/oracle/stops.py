"""Planned stops: no request may be cut because the deployer takes a replica away on purpose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lab.clock import NS
from lab.model import Finding, Operation, Try, TryResult
from lab.oracle.breach import seconds
from lab.oracle.promises import CLEAN_STOPS, Anomaly
from lab.record import AnyEvent, Step, Strike, StrikeUndone

STOP_LINGERS = 0.5
"""Seconds after a replica is removed in which a failed try may still be due to its stop."""
STRIKE_EXPLAINS = 2.0
"""Seconds after a strike in which it explains a failed try that names no slot, and longer where it lasts longer."""
REPLACED_WITHIN = 30.0
"""Seconds after a strike in which it explains a failed try at its victim's slot, unless a replica is ready before."""
STOPPED_WITHIN = 15.0
"""Seconds that a stop is taken to last where the record does not say when it was over."""


class PlannedStop(NamedTuple):
    """A replica that the deployer takes away, from the first word to its end."""

    replica: str
    slot: str
    begin: int
    end: int


def planned_stops(events: Iterable[AnyEvent]) -> list[PlannedStop]:
    """The planned stops that the deployer's steps tell of; a replica that was struck before is none."""
    begun: dict[str, Step] = {}
    ended: dict[str, int] = {}
    struck: dict[str, int] = {}
    for event in events:
        if isinstance(event, Strike):
            struck.setdefault(event.victim, event.at)
        elif isinstance(event, Step):
            if event.action in {"drain", "stop"} and event.at < struck.get(event.replica, event.at + 1):
                begun.setdefault(event.replica, event)
            elif event.action in {"stopped", "remove"}:
                ended.setdefault(event.replica, event.at)
    return [
        PlannedStop(name, step.slot, step.at, ended.get(name, step.at + int(STOPPED_WITHIN * NS)))
        for name, step in begun.items()
    ]


def is_cut(one: Try) -> bool:
    """Did this try get no proper answer, though it was sent?"""
    if one.result in {TryResult.CUT, TryResult.TIMEOUT}:
        return True
    return one.answered and int(one.result) >= 500


def find_cut(failed: Iterable[tuple[Operation, Try]], events: Sequence[AnyEvent]) -> list[Finding]:
    """The tries that a planned stop cut and that no strike explains. Sound only as far as times tell.

    A failed try is laid at a planned stop if they overlap (STOP_LINGERS longer), and the try was answered by the
    stopping replica, or by none and went to its slot, or names no slot either. A strike explains it if the try
    names no slot, or the strike none, and it began until STRIKE_EXPLAINS after the strike or while that lasted; or if
    it went to the victim's slot while it lasted or before that one had a new replica.
    """
    stops = planned_stops(events)
    strikes = _strikes(events)
    slots = {event.replica: event.slot for event in events if isinstance(event, Step)}
    found: list[Finding] = []
    for operation, one in failed:
        places = {*one.edge} | ({slots.get(one.replica, one.replica)} if one.replica else set())
        stop = next(
            (stop for stop in stops if one.replica in {stop.replica, None} and _overlaps(one, stop, places)), None
        )
        if stop is None or any(_explains(struck, one, places) for struck in strikes):
            continue
        how = f"answered with {one.result}" if one.answered else f"ended as {one.result}"
        why = (
            f"a request {how} {seconds(max(0, one.end - stop.begin))} after {stop.replica} "
            "had been told to leave, and no strike explains it"
        )
        found.append(
            Finding(
                promise=CLEAN_STOPS,
                anomaly=str(Anomaly.CUT_BY_STOP),
                user=operation.user,
                at=one.end,
                why=why,
                witness=(operation,),
            )
        )
    return found


def _overlaps(one: Try, stop: PlannedStop, places: set[str]) -> bool:
    in_time = one.end >= stop.begin and one.begin <= stop.end + int(STOP_LINGERS * NS)
    return in_time and (not places or stop.slot in places)


class _Struck(NamedTuple):
    """A strike, and until when it explains what fails at its victim's slot, and what fails anywhere."""

    strike: Strike
    here_until: int
    anywhere_until: int


def _strikes(events: Sequence[AnyEvent]) -> list[_Struck]:
    undone = {event.strike: event.at for event in events if isinstance(event, StrikeUndone)}
    found: list[_Struck] = []
    for strike in events:
        if isinstance(strike, Strike):
            ready = [
                event.at
                for event in events
                if isinstance(event, Step)
                and event.action == "enter"
                and event.slot == strike.slot
                and event.replica != strike.victim
                and event.at > strike.at
            ]
            anywhere = max(strike.at + int(STRIKE_EXPLAINS * NS), undone.get(strike.strike, 0))
            here = max(min(ready, default=strike.at + int(REPLACED_WITHIN * NS)), anywhere)
            found.append(_Struck(strike, here, anywhere))
    return found


def _explains(struck: _Struck, one: Try, places: set[str]) -> bool:
    if one.end < struck.strike.at:
        return False
    if not places or not struck.strike.slot:
        return one.begin <= struck.anywhere_until
    return struck.strike.slot in places and one.begin <= struck.here_until
