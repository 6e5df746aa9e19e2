"""Finds and removes what labs left on a swarm, by labels alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from lab.errors import EngineError, WaitTimeout
from lab.machine import labels
from lab.machine.engine import APIError, NotFound
from lab.machine.labels import Identity
from lab.machine.swarm import Swarm
from lab.machine.sweep import Leftover
from lab.retry import wait_until

GONE_WITHIN = 60.0
"""Seconds for the tasks of a removed service to end, and for what they held to be let go."""


def stacks(swarm: Swarm, *, now: datetime) -> list[Leftover]:
    """Every cluster of any lab on this swarm."""
    parts: dict[Identity, int] = {}
    for carried in _all_labels(swarm):
        identity = labels.identity_of(carried)
        if identity is not None:
            parts[identity] = parts.get(identity, 0) + 1
    return [
        Leftover(identity=identity, parts=count, is_abandoned=not labels.may_be_missed(identity, now))
        for identity, count in sorted(parts.items(), key=lambda item: item[0].project)
    ]


def _all_labels(swarm: Swarm) -> Sequence[Mapping[str, str]]:
    def read(manager: Any) -> list[Mapping[str, str]]:
        only = {"label": labels.PROJECT}
        found = [one["Spec"].get("Labels") or {} for one in manager.services(filters=only)]
        found += [one["Spec"].get("Labels") or {} for one in manager.secrets(filters=only)]
        found += [one["Spec"].get("Labels") or {} for one in manager.configs(filters=only)]
        return found + [one["Labels"] or {} for one in manager.networks(filters=only) if one["Scope"] == "swarm"]

    def volumes(engine: Any, _: str) -> list[Mapping[str, str]]:
        return [one["Labels"] or {} for one in engine.volumes(filters={"label": labels.PROJECT})["Volumes"] or ()]

    return [*swarm.ask("list what is on the swarm", read), *swarm.each("list a node's volumes", volumes)]


def tear_stack_down(swarm: Swarm, project: str) -> list[str]:
    """Remove a cluster's services, network, secrets and volumes; say what was removed. May be repeated.

    Raises EngineError where something stays.
    """
    removed: list[str] = []
    _remove_all(swarm, project, "service", lambda manager: (manager.services, manager.remove_service), removed)
    stays: list[str] = []

    def is_gone() -> bool:
        stays[:] = _still_there(swarm, project)
        if stays:
            return False
        for kind, calls in _KINDS.items():
            stays.extend(_remove_all(swarm, project, kind, calls, removed))
        stays.extend(_remove_volumes(swarm, project, removed))
        return not stays

    try:
        wait_until(f"{project} is gone", is_gone, within=GONE_WITHIN, every=0.3)
    except WaitTimeout as exc:
        hint = "lab down --on swarm, once its node is back"
        raise EngineError(f"can't remove {', '.join(stays)}", at=project, hint=hint) from exc
    return removed


_KINDS: Mapping[str, Callable[[Any], tuple[Any, Any]]] = {
    "secret": lambda manager: (manager.secrets, manager.remove_secret),
    "config": lambda manager: (manager.configs, manager.remove_config),
    "network": lambda manager: (manager.networks, manager.remove_network),
}


def _remove_all(
    swarm: Swarm, project: str, kind: str, calls: Callable[[Any], tuple[Any, Any]], removed: list[str]
) -> list[str]:
    """Remove all of one kind; what is still in use."""

    def act(manager: Any) -> list[str]:
        listed, remove = calls(manager)
        stays = []
        for one in listed(filters={"label": f"{labels.PROJECT}={project}"}):
            spec = one.get("Spec") or one
            if labels.identity_of(spec.get("Labels")) is None or one.get("Scope", "swarm") != "swarm":
                continue
            named = f"{kind} {spec['Name']}"
            try:
                remove(one.get("ID") or one["Id"])
            except NotFound:
                continue
            except APIError as exc:
                if "in use" not in str(exc):
                    raise
                stays.append(named)
            else:
                removed.append(named)
        return stays

    return swarm.ask(f"remove a {kind}", act, at=project)


def _still_there(swarm: Swarm, project: str) -> list[str]:
    """The containers of its tasks that have not ended, or were not cleared away."""

    def look(engine: Any, _: str) -> list[str]:
        found = engine.containers(all=True, filters={"label": f"{labels.PROJECT}={project}"})
        return [f"container {one['Names'][0].lstrip('/')}" for one in found if labels.identity_of(one["Labels"])]

    return swarm.each("look for containers", look)


def _remove_volumes(swarm: Swarm, project: str, removed: list[str]) -> list[str]:
    def act(engine: Any, _: str) -> list[str]:
        stays = []
        for one in engine.volumes(filters={"label": f"{labels.PROJECT}={project}"})["Volumes"] or ():
            if labels.identity_of(one["Labels"]) is None:
                continue
            try:
                engine.remove_volume(one["Name"])
            except APIError as exc:
                if "in use" not in str(exc):
                    raise
                stays.append(f"volume {one['Name']}")
            else:
                removed.append(f"volume {one['Name']}")
        return stays

    return swarm.each("remove a volume", act)
