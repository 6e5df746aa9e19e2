"""More balancers than one: an edge in each zone, each on a port of its own, all before the same slots."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import yaml

from lab.machine import labels
from lab.model import Value

BALANCER_SERVICE = "balancer"
EDGE_NETWORK = "edge"
"""The network of the balancers' doors, in compose/cluster.yaml."""


class Edge(Value):
    """One balancer: the zone it stands in, the users' port on 127.0.0.1 and the lab's own there.

    Ports are fixed from the start: a balancer that is killed and started again keeps them.
    """

    zone: str
    port: int
    door: int


def service_of(edge: Edge) -> str:
    """The Compose service of an edge beside the first."""
    return f"{BALANCER_SERVICE}-{edge.zone}"


def edges_file(compose_text: str, edges: Sequence[Edge]) -> str:
    """A second compose file with a copy of the balancer's service for each of `edges`: other ports, another zone."""
    pattern = yaml.safe_load(compose_text)["services"][BALANCER_SERVICE]
    services: dict[str, Any] = {}
    for edge in edges:
        service = copy.deepcopy(pattern)
        service["ports"] = [f"127.0.0.1:{edge.port}:8080", f"127.0.0.1:{edge.door}:8081"]
        service["labels"][labels.ZONE] = edge.zone
        services[service_of(edge)] = service
    return yaml.safe_dump({"services": services}, sort_keys=False)
