"""What is asked of Swarm for the app's service: another release, the one before, more or fewer tasks.

Each may come twice: a service's version refuses whoever has not seen the last change.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from lab.cluster.swarm_stack import NS, ROLLOUT, SLOTS, health_of, update_of
from lab.cluster.swarm_tasks import AppService, slots_text
from lab.machine import labels
from lab.machine.engine import APIClient, roll_service_back
from lab.machine.swarm import Swarm
from lab.model import Release, Slot, Value

_RELEASE_VARIABLE = "LAB_RELEASE="


class Change(Value):
    """How a service goes to another release."""

    rollout: str
    to: Release
    at_once: int
    pause: float
    in_place: bool
    ready_within: float
    grace: float


def changed(spec: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """The service's new specification."""
    new: dict[str, Any] = copy.deepcopy(dict(spec))
    container = new["TaskTemplate"]["ContainerSpec"]
    container["Image"] = change.to.image
    container["Labels"] = {**(container.get("Labels") or {}), labels.RELEASE: change.to.name}
    env = [one for one in container.get("Env") or () if not one.startswith(_RELEASE_VARIABLE)]
    container["Env"] = [*env, f"{_RELEASE_VARIABLE}{change.to.name}"]
    container["Healthcheck"] = health_of(change.ready_within)
    container["StopGracePeriod"] = round(change.grace * NS)
    new["Labels"] = {**(new.get("Labels") or {}), ROLLOUT: change.rollout}
    new["UpdateConfig"] = update_of(at_once=change.at_once, pause=change.pause, in_place=change.in_place)
    new["RollbackConfig"] = update_of(at_once=change.at_once, pause=0.0, in_place=change.in_place, fails="pause")
    return new


def update(swarm: Swarm, service: AppService, change: Change) -> None:
    """`docker service update` to another release."""
    _write(swarm, service, changed(service.spec, change), f"update the service to {change.to.name}")


def scale(swarm: Swarm, service: AppService, replicas: int) -> None:
    """`docker service scale`."""
    new = copy.deepcopy(dict(service.spec))
    new["Mode"] = {"Replicated": {"Replicas": replicas}}
    _write(swarm, service, new, f"scale the service to {replicas}")


def name_slots(swarm: Swarm, service: AppService, slots: Sequence[Slot]) -> None:
    """Say on the service what the lab calls its slots. No task is changed by that."""
    new = copy.deepcopy(dict(service.spec))
    new["Labels"] = {**(new.get("Labels") or {}), SLOTS: slots_text(slots)}
    _write(swarm, service, new, "name the service's slots")


def roll_back(swarm: Swarm, service: AppService) -> None:
    """`docker service rollback`."""

    def act(manager: APIClient) -> None:
        now = manager.inspect_service(service.id)
        if now["Version"]["Index"] == service.version:
            roll_service_back(manager, service.id, service.version, now["Spec"])

    swarm.ask("roll the service back", act, at=service.id)


def _write(swarm: Swarm, service: AppService, spec: Mapping[str, Any], doing: str) -> None:
    def act(manager: APIClient) -> None:
        if manager.inspect_service(service.id)["Version"]["Index"] != service.version:
            return  # it came through the first time, or somebody else was quicker: the next look shows it
        manager.update_service(
            service.id,
            service.version,
            task_template=spec["TaskTemplate"],
            name=spec["Name"],
            labels=spec.get("Labels"),
            mode=spec["Mode"],
            update_config=spec.get("UpdateConfig"),
            rollback_config=spec.get("RollbackConfig"),
            endpoint_spec=spec.get("EndpointSpec"),
        )

    swarm.ask(doing, act, at=service.id)
