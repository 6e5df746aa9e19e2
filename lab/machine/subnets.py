"""Finds a piece of address space for a network whose members must keep their addresses."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable

from docker import APIClient

from lab.errors import ClusterError
from lab.machine.engine import engine_errors
from lab.machine.host import routes

SPACE = ipaddress.ip_network("10.213.0.0/16")
"""Private, and away from what engines and homes usually take."""


def free_subnet(engine: APIClient, *, but: str = "") -> str:
    """A /24 that no network of the engine and no route of this machine overlaps, nor `but`. Raises ClusterError."""
    with engine_errors("read the engine's networks"):
        networks = engine.networks()
    taken = [one["Subnet"] for net in networks for one in (net["IPAM"].get("Config") or ()) if one.get("Subnet")]
    taken += [but] if but else []
    taken += routes()
    found = pick_subnet(taken, random.Random())
    if found is None:
        raise ClusterError("no free subnet is left", at=str(SPACE), hint="docker network prune")
    return found


def pick_subnet(taken: Iterable[str], luck: random.Random) -> str | None:
    """One that overlaps none of these, drawn so that two labs that look at the same moment seldom want the same."""
    parsed = [ipaddress.ip_network(one, strict=False) for one in taken]
    others = [one for one in parsed if isinstance(one, ipaddress.IPv4Network)]
    free = [one for one in SPACE.subnets(new_prefix=24) if not any(one.overlaps(other) for other in others)]
    return str(luck.choice(free)) if free else None
