"""Containers that somebody else removed during a run: whatever users met after that says nothing of the app."""

from __future__ import annotations

from collections.abc import Sequence

from lab.clock import NS
from lab.model import Role
from lab.record import AnyEvent, ContainerEvent, Serving, Step, Strike

REMOVED_WITHIN = 60.0
"""Seconds after the deployer's word in which the engine may say that a replica is gone."""
ENDED_BEFORE = 10.0
"""Seconds before its removal in which a container's end is part of it."""

_OF_THE_RUN = frozenset({Role.APP, Role.BALANCER, Role.STORE, Role.SENTINEL, Role.ORDERS, Role.FRONT, Role.PATTERN})


def find_taken_down(events: Sequence[AnyEvent], *, until: int) -> tuple[str, int] | None:
    """The first container of the run that was removed neither by its deployer nor by a strike: who, and when it began.

    Looked at from when anybody first served, `until` users had done their last: before and after that the lab itself
    makes and removes. `events` are in order of time.
    """
    removed: dict[str, int] = {}
    struck: set[str] = set()
    ended: dict[str, int] = {}
    has_served = False
    for event in events:
        if event.at > until:
            break
        has_served = has_served or isinstance(event, Serving)
        if isinstance(event, Step) and event.action == "remove":
            removed[event.replica] = event.at
        elif isinstance(event, Strike):
            struck.add(event.victim)
        elif isinstance(event, ContainerEvent) and event.action in {"kill", "die", "stop"}:
            ended.setdefault(event.container, event.at)
        elif isinstance(event, ContainerEvent) and event.action == "destroy" and has_served:
            told = removed.get(event.name)
            is_ours = event.name in struck or (told is not None and event.at - told <= REMOVED_WITHIN * NS)
            if event.role in _OF_THE_RUN and not is_ours:
                began = ended.get(event.container, event.at)
                return _who(event), began if event.at - began <= ENDED_BEFORE * NS else event.at
    return None


def _who(event: ContainerEvent) -> str:
    what = "template container" if event.role == Role.PATTERN else event.role
    return f"the {what} {event.name} was removed, and not by the lab" if event.name else f"the {what} was removed"
