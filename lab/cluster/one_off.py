"""Containers of somebody's own services that are made anew, or run once: what `docker compose` does with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from docker import APIClient

from lab.cluster.carried import carried_files
from lab.cluster.compose import SERVICE, clone
from lab.cluster.tear_down import remove_container
from lab.errors import UsageError, WaitTimeout
from lab.machine import labels
from lab.machine.engine import engine_errors
from lab.model import Release, Role
from lab.retry import wait_until

DOCKER_GRACE = 10.0
"""Seconds between a stop signal and SIGKILL where a service says nothing."""
LOOK_EVERY = 0.25
"""Seconds between two looks at what runs once."""
Hear = Callable[[str], None]


class Joins(Protocol):
    """A cluster whose networks a container may join."""

    @property
    def project(self) -> str: ...

    def join_others(self, pattern: Mapping[str, Any], address: str, service: str) -> None: ...


def recreate(engine: APIClient, cluster: Joins, service: str, release: Release) -> None:
    """Make a worker anew from another image, as `docker compose up` does: the old one is stopped in its own time.

    Raises EngineError, and UsageError where there is none.
    """
    only = [f"{labels.PROJECT}={cluster.project}", f"{labels.ROLE}={Role.WORKER.value}", f"{SERVICE}={service}"]
    with engine_errors(f"make {service} anew", at=release.image):
        found = engine.containers(all=True, filters={"label": only})
        if not found:
            raise UsageError("there is no such worker", at=service, hint="cluster: {services: {worker: worker}}")
        for one in found:
            old = _inspected(engine, one["Id"])
            named = {labels.RELEASE: release.name}
            body = clone(old, image=release.image, own_labels=named, service=service, told=release.env)
            carried = carried_files(engine, old)
            engine.stop(old["Id"], timeout=int(old["Config"].get("StopTimeout") or DOCKER_GRACE))
            remove_container(engine, old["Id"])
            made = engine.create_container_from_config(body, old["Name"].lstrip("/"))["Id"]
            if carried:
                engine.put_archive(made, "/", carried)
            cluster.join_others(old, made, service)
            engine.start(made)


def run_once(
    engine: APIClient,
    cluster: Joins,
    service: str,
    release: Release,
    argv: Sequence[str],
    *,
    within: float,
    hear: Hear,
) -> int | None:
    """Run a command in a container of its own like the service's, and remove it; its exit code, None: out of time.

    What is made from the app's image is made from the release's. Nobody finds it under the service's name. Raises
    EngineError, and UsageError where there is no such service.
    """
    only = [f"{labels.PROJECT}={cluster.project}", f"{SERVICE}={service}"]
    with engine_errors(f"run {' '.join(argv)} in {service}", at=release.image):
        found = [one for one in engine.containers(all=True, filters={"label": only}) if _is_original(one["Labels"])]
        if not found:
            raise UsageError("there is no such service", at=service, hint="run: {service: ...}")
        like = _inspected(engine, found[0]["Id"])
        is_app = like["Config"]["Labels"][labels.ROLE] in {Role.PATTERN, Role.WORKER}
        image = release.image if is_app else like["Image"]
        own = {labels.ROLE: Role.SERVICE.value, "com.docker.compose.oneoff": "True"}
        body = clone(like, image=image, own_labels=own, service="", told=release.env if is_app else {})
        body |= {"Cmd": list(argv), "Healthcheck": {"Test": ["NONE"]}}
        body["HostConfig"] = {**body["HostConfig"], "PortBindings": {}, "RestartPolicy": {"Name": "no"}}
        made = engine.create_container_from_config(body)["Id"]
        try:
            carried = carried_files(engine, like)
            if carried:
                engine.put_archive(made, "/", carried)
            cluster.join_others(like, made, "")
            engine.start(made)
            return _heard_to_its_end(engine, made, within=within, hear=hear)
        finally:
            remove_container(engine, made)


def _heard_to_its_end(engine: APIClient, container: str, *, within: float, hear: Hear) -> int | None:
    heard = 0

    def is_over() -> bool:
        nonlocal heard
        state = engine.inspect_container(container)["State"]  # first, so that its last lines are heard, too
        has_ended = state["Status"] in {"exited", "dead"}
        text = engine.logs(container).decode(errors="replace")
        lines = text.splitlines() if has_ended else text.split("\n")[:-1]
        for line in lines[heard:]:
            hear(line.rstrip("\r"))
        heard = len(lines)
        return has_ended

    try:
        wait_until("it has ended", is_over, within=within, every=LOOK_EVERY, next_step="a larger `within`")
    except WaitTimeout:
        return None
    return int(engine.inspect_container(container)["State"]["ExitCode"])


def _inspected(engine: APIClient, container: str) -> dict[str, Any]:
    seen = dict(engine.inspect_container(container))
    seen["ImageConfig"] = engine.inspect_image(seen["Image"])["Config"]
    return seen


def _is_original(its_labels: Mapping[str, str]) -> bool:
    """Compose's own container of a service, and no replica, gate or other one-off that was made after it."""
    return its_labels.get(labels.ROLE) not in {Role.APP, Role.GATE} and (
        its_labels.get("com.docker.compose.oneoff") != "True"
    )
