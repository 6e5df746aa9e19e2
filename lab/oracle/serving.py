"""The floor of serving replicas: never fewer, but for what strikes took away and nobody has replaced yet."""

from __future__ import annotations

from collections.abc import Iterable

from lab.clock import NS
from lab.model import Finding
from lab.oracle.promises import SERVING_FLOOR, Anomaly
from lab.record import AnyEvent, Serving, Step, Strike

_STORES = frozenset({"store", "sentinel", "orders"})
HEALED_AFTER = 2.0
"""Seconds after a strike from which a full count means that its victim is back without a replacement."""


def judge_floor(events: Iterable[AnyEvent], floor: int, *, until: int | None = None) -> tuple[int, list[Finding]]:
    """How many counts of the serving were compared, and those that were too low.

    Counts are judged from the first that reaches the floor on, up to `until`. A struck slot is excused until
    another replica gets ready in it, or until as many serve as before the strike, HEALED_AFTER or more after it. While
    a store is struck nobody can serve, which says nothing about replicas: those counts are not compared.
    """
    struck: dict[str, Strike] = {}
    reached, checks, found = False, 0, list[Finding]()
    for event in sorted(events, key=lambda one: one.at):
        if until is not None and event.at > until:
            break
        if isinstance(event, Strike):
            struck[event.slot or event.victim] = event
        elif isinstance(event, Step) and event.action == "enter":
            if event.slot in struck and struck[event.slot].victim != event.replica:
                del struck[event.slot]
        elif isinstance(event, Serving):
            healed = [
                slot
                for slot, strike in struck.items()
                if event.total >= strike.serving and event.at - strike.at >= HEALED_AFTER * NS
            ]
            for slot in healed:
                del struck[slot]
            reached = reached or event.total >= floor
            if reached and not any(strike.role in _STORES for strike in struck.values()):
                checks += 1
                if event.total + len(struck) < floor:
                    found.append(_below(event, floor, len(struck)))
    return checks, found


def _below(event: Serving, floor: int, excused: int) -> Finding:
    but = f", {excused} more were struck and not replaced yet" if excused else ""
    return Finding(
        promise=SERVING_FLOOR,
        anomaly=str(Anomaly.BELOW_FLOOR),
        user="",
        at=event.at,
        why=f"{event.total} replicas served where {floor} must{but}",
    )
