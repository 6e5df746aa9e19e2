"""What the engine itself says of a cluster that nothing is written down of any more."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from docker import APIClient

from lab.machine import labels
from lab.machine.engine import engine_errors
from lab.model import Release, Role, Slot, Value

_TENURE = re.compile(r"\.e([0-9]{1,9})$")


class FoundCluster(Value):
    """A cluster as its containers' labels tell it, and the names of the slots that its balancer knows."""

    release: Release
    """The one that most of its replicas are of."""
    slots: tuple[Slot, ...]
    """Every slot that the balancer knows, zones in turn."""
    active: tuple[str, ...]
    """The slots that have a replica."""
    tenure: int
    """The latest tenure of a deployer that any container bears in its name; the next one must be later."""


def find_cluster(engine: APIClient, project: str, slots: Sequence[str]) -> FoundCluster | None:
    """The cluster that `lab up` made under this name, or None where there is none with a replica.

    `slots`: those that its balancer knows; without them a slot that has no replica now is not found. A run's cluster
    is its run's alone, and is not found. Raises EngineError.
    """
    only = {"label": [f"{labels.PROJECT}={project}", f"{labels.ROLE}={Role.APP.value}"]}
    with engine_errors("look for the cluster's replicas", at=project):
        found = engine.containers(all=True, filters=only)
    return read_cluster(found, slots)


def read_cluster(containers: Iterable[Mapping[str, Any]], slots: Sequence[str]) -> FoundCluster | None:
    """The same from what the engine lists: pure."""
    images: Counter[tuple[str, str]] = Counter()
    zones: dict[str, str] = {}
    tenure = 0
    for one in containers:
        identity = labels.identity_of(one["Labels"])
        replica = labels.replica_of(one["Id"], one["Labels"], one["State"])
        if identity is None or identity.owner != labels.KEPT or replica is None or not replica.slot:
            continue
        images[replica.release, one["Image"]] += 1
        zones[replica.slot] = replica.zone
        named = _TENURE.search(one["Names"][0])
        tenure = max(tenure, int(named[1]) if named else 0)
    if not images:
        return None
    names = dict.fromkeys((*slots, *zones))
    known = sorted((Slot(name=name, zone=zones.get(name) or _zone_of(name, zones)) for name in names), key=_turn)
    name, image = max(images, key=lambda one: (images[one], one))
    return FoundCluster(release=Release(name=name, image=image), slots=tuple(known), active=tuple(zones), tenure=tenure)


def _zone_of(slot: str, zones: Mapping[str, str]) -> str:
    """The zone of a slot that has no replica: its name without its number."""
    fitting = [zone for zone in zones.values() if slot.removeprefix(zone).isdigit() and slot.startswith(zone)]
    return max(fitting, key=len, default=slot.rstrip("0123456789"))


def _turn(slot: Slot) -> tuple[int, str]:
    number = slot.name.removeprefix(slot.zone)
    return (int(number) if number.isdigit() else 0, slot.zone)
