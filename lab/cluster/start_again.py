"""What an engine that was restarted must start again: all that ran there before and no deployer looks after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from docker import APIClient

from lab.machine import labels
from lab.machine.engine import engine_errors
from lab.model import Role

STOPPED_WITHIN = 30.0
"""Seconds before its own end in which an engine stops what runs on it."""
_FIRST = (Role.STORE, Role.ORDERS, Role.SENTINEL, Role.SERVICE, Role.WORKER, Role.BALANCER, Role.FRONT)
"""In this order: what others ask comes first. Replicas and their gates are their deployer's."""


def start_again(engine: APIClient, project: str, *, since: datetime) -> list[str]:
    """Start a project's containers that ended with the engine, which was gone at `since`; their names, in order.

    What had ended before, as a job that was done, stays as it is. Raises EngineError.
    """
    with engine_errors("start again what ran on the engine", at=project):
        ended = list(_ended_since(engine, project, since - timedelta(seconds=STOPPED_WITHIN)))
        for *_, container in sorted(ended):
            engine.start(container)
    return [name for _, name, _ in sorted(ended)]


def _ended_since(engine: APIClient, project: str, since: datetime) -> Iterator[tuple[int, str, str]]:
    for one in engine.containers(all=True, filters={"label": f"{labels.PROJECT}={project}", "status": "exited"}):
        role = one["Labels"].get(labels.ROLE, "")
        ended = _time_of(engine.inspect_container(one["Id"])["State"])
        if role in _FIRST and ended is not None and ended >= since:
            yield _FIRST.index(Role(role)), one["Names"][0].lstrip("/"), one["Id"]


def _time_of(state: dict[str, Any]) -> datetime | None:
    """When it ended, by the engine's word; None where that is no time."""
    try:
        return datetime.fromisoformat(str(state.get("FinishedAt", ""))[:19]).replace(tzinfo=UTC)
    except ValueError:
        return None
