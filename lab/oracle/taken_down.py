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

LEAVING = frozenset({"drain", "stop", "remove"})
"""What the deployer says that it does before it ends a replica."""
DEADLY = frozenset({9, 15})
"""Signals by which an engine ends what is removed."""

_OF_THE_RUN = frozenset({Role.APP, Role.BALANCER, Role.STORE, Role.SENTINEL, Role.ORDERS, Role.FRONT, Role.PATTERN})


def find_taken_down(events: Sequence[AnyEvent], *, until: int) -> tuple[str, int] | None:
    """The first container of the run that was removed neither by its deployer nor by a strike: who, and when it began.

    That is with the first that was killed for it, whoever is removed first: a deployer may still be faster to remove
    what is dead. Looked at from when anybody first served, `until` users had done their last: before and after that the
    lab itself makes and removes. `events` are in order of time.
    """
    removed: dict[str, int] = {}
    struck: set[str] = set()
    ended: dict[str, int] = {}
    left: set[str] = set()
    killed: list[int] = []
    """When somebody killed a container that the lab did not."""
    has_served = False
    for event in events:
        if event.at > until:
            break
        has_served = has_served or isinstance(event, Serving)
        if isinstance(event, Step) and event.action in LEAVING:
            left.add(event.replica)
            if event.action == "remove":
                removed[event.replica] = event.at
        elif isinstance(event, Strike):
            struck.add(event.victim)
        elif isinstance(event, ContainerEvent) and event.action in {"kill", "die", "stop"}:
            ended.setdefault(event.container, event.at)
            if event.action == "kill" and event.signal in DEADLY and event.role in _OF_THE_RUN:
                killed += [event.at] if event.name not in struck | left else []
        elif isinstance(event, ContainerEvent) and event.action == "destroy" and has_served:
            told = removed.get(event.name)
            is_ours = event.name in struck or (told is not None and event.at - told <= REMOVED_WITHIN * NS)
            if event.role in _OF_THE_RUN and not is_ours:
                began = [*killed, ended.get(event.container, event.at), event.at]
                return _who(event), min(one for one in began if event.at - one <= ENDED_BEFORE * NS)
    return None


def _who(event: ContainerEvent) -> str:
    what = "template container" if event.role == Role.PATTERN else event.role
    return f"the {what} {event.name} was removed, and not by the lab" if event.name else f"the {what} was removed"
