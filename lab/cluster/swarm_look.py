"""How a cluster's store is on a swarm; asking changes nothing."""

from __future__ import annotations

from typing import Any

from lab.cluster.store_look import PING
from lab.cluster.swarm_stack import STORE
from lab.machine import labels
from lab.machine.engine import GONE_OR_SO, APIError, NotFound
from lab.machine.swarm import Swarm
from lab.model import Role


class SwarmStore:
    """The one store, asked from inside its own container."""

    def __init__(self, swarm: Swarm, *, project: str) -> None:
        self._swarm, self._project = swarm, project

    def primary(self) -> str:
        return STORE

    def trouble(self) -> str:
        only = [f"{labels.PROJECT}={self._project}", f"{labels.ROLE}={Role.STORE.value}"]

        def ask(engine: Any, _: str) -> list[str]:
            return [_ping(engine, one["Id"]) for one in engine.containers(filters={"label": only, "status": "running"})]

        said = self._swarm.each("ask the store", ask)
        if not said:
            return f"{STORE} is not back"
        return "" if "PONG" in said else f"{STORE} does not answer"


def _ping(engine: Any, container: str) -> str:
    try:
        made = engine.exec_create(container, list(PING), stderr=False)
        return str(engine.exec_start(made["Id"]).decode(errors="replace")).strip()
    except NotFound:
        return ""
    except APIError as exc:
        if exc.status_code not in GONE_OR_SO and "is paused" not in str(exc):
            raise
        return ""
