"""What the containers of a cluster wrote: by a slot, a replica's name, a store, a balancer or a service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from docker import APIClient

from lab.errors import UsageError
from lab.machine import labels
from lab.machine.engine import engine_errors
from lab.model import Role

COMPOSE_SERVICE = "com.docker.compose.service"


def log_lines(engine: APIClient, project: str, named: str, *, last: int, follows: bool) -> Iterator[str]:
    """The last lines of whoever is named, and with `follows` those that come until it ends.

    Raises UsageError, before the first line, where there is nobody of this name.
    """
    with engine_errors("list the cluster's containers", at=project):
        found = engine.containers(all=True, filters={"label": f"{labels.PROJECT}={project}"})
    one = pick_container(found, named)
    if one is None:
        there = ", ".join(dict.fromkeys(names[0] for each in found if (names := names_of(each))))
        raise UsageError(
            "nobody of this name" if found else "no such cluster", at=named, hint=there or f"lab up -p {project}"
        )
    with engine_errors("read a container's log", at=named):
        if not follows:
            yield from engine.logs(one["Id"], tail=last).decode(errors="replace").splitlines()
            return
        rest = b""
        for part in engine.logs(one["Id"], tail=last, stream=True, follow=True):
            *lines, rest = (rest + part).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
        if rest:
            yield rest.decode(errors="replace")


def pick_container(found: Sequence[Mapping[str, Any]], named: str) -> Mapping[str, Any] | None:
    """Who is meant: of a slot's replicas the newest; never a gate or a pattern, of which nobody asks."""
    meant = [one for one in found if named in names_of(one)]
    return max(meant, key=_age, default=None)


def _age(container: Mapping[str, Any]) -> tuple[int, int]:
    return int(container["Labels"].get(labels.GENERATION) or 0), int(container.get("Created", 0))


def names_of(container: Mapping[str, Any]) -> tuple[str, ...]:
    """Under which names a container is known, the usual one first."""
    said = container["Labels"]
    role = said.get(labels.ROLE, "")
    if role in {Role.GATE, Role.PATTERN, labels.CUTTER}:
        return ()
    if role == Role.APP:
        return tuple(filter(None, (said.get(labels.SLOT), said.get(labels.REPLICA))))
    zone = said.get(labels.ZONE, "")
    return tuple(dict.fromkeys(filter(None, (f"{role}/{zone}" if zone else "", said.get(COMPOSE_SERVICE), role))))
