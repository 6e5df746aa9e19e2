"""Removes a cluster by its labels alone, whoever else is at it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from docker import APIClient

from lab.clock import SYSTEM_CLOCK, Clock
from lab.errors import EngineError, WaitTimeout
from lab.machine import labels
from lab.machine.engine import APIError, NotFound, engine_errors
from lab.machine.reach import is_guest
from lab.model import Value
from lab.retry import wait_until

REMOVALS_AT_ONCE = 4
GONE_MEANWHILE = {404, 409}
"""What the engine answers where a container was removed, died or is being removed between a look and an act."""
IN_USE = {403, 409}
"""What the engine answers where a network or a volume still has a container."""
GONE_WITHIN = 10.0
"""Seconds for which what stays is removed again and again: as long as another lab needs to do the same."""


class StuckPart(Value):
    """A part that could not be removed yet."""

    kind: str
    name: str
    why: str
    is_engines_own: bool = False
    """A network in which no container is: the engine forgot to let go of one that was."""


def tear_down(engine: APIClient, project: str, *, folder: Path | None = None, clock: Clock = SYSTEM_CLOCK) -> list[str]:
    """Remove every container, network and volume that carries this project's labels; say what was removed.

    Nothing is chosen by name, and what bears only some of the lab's labels is left alone. May be repeated, and by
    several labs at once: what is still in use after that is tried again for GONE_WITHIN seconds.
    Raises EngineError, with the engine's own words, where something stays; all else is removed by then. A network that
    only the engine itself still holds is not waited for twice.
    """
    removed: list[str] = []
    stays: list[StuckPart] = []

    def is_gone() -> bool:
        with engine_errors("remove the cluster's parts", at=project, hint=f"lab down -p {project}"):
            stays[:] = _remove_parts(engine, project, removed)
        return not stays

    try:
        if not is_gone() and (removed or not all(one.is_engines_own for one in stays)):
            wait_until(f"{project} is gone", is_gone, within=GONE_WITHIN, every=0.3, clock=clock)
    except WaitTimeout:
        pass
    if folder is not None and folder.exists() and all(one.is_engines_own for one in stays):
        with suppress(FileNotFoundError):  # somebody else's `down` was quicker
            shutil.rmtree(folder)
    if stays:
        raise _stuck(project, stays)
    return removed


def _stuck(project: str, stays: Sequence[StuckPart]) -> EngineError:
    one = next((one for one in stays if not one.is_engines_own), stays[0])
    if one.is_engines_own:
        what = f"the engine keeps {one.kind} {one.name} though no container is in it; all else is removed"
        return EngineError(what, at=project, hint="a fault of the engine's own: the network goes with its next start")
    held = f"{'name' if one.kind == 'container' else one.kind}={one.name}"
    hint = f"docker ps -a --filter {held}   # who has it; then: lab down -p {project}"
    return EngineError(f"can't remove {one.kind} {one.name}: {one.why}", at=project, hint=hint)


def _remove_parts(engine: APIClient, project: str, removed: list[str]) -> list[StuckPart]:
    """Remove what can be removed now, and add it to `removed`; what stays for now."""
    only = {"label": [f"{labels.PROJECT}={project}"]}

    def ours() -> list[Mapping[str, Any]]:
        return [one for one in engine.containers(all=True, filters=only) if labels.identity_of(one["Labels"])]

    with ThreadPoolExecutor(REMOVALS_AT_ONCE) as pool:
        found = ours()
        done = list(pool.map(lambda one: remove_container(engine, one["Id"]), found))
    removed += [f"container {name_of(one)}" for one, was_there in zip(found, done, strict=True) if was_there]
    stays = []
    parts = [("network", one["Name"], one["Id"], one["Labels"]) for one in engine.networks(filters=only)]
    volumes = engine.volumes(filters=only)["Volumes"] or ()
    parts += [("volume", one["Name"], one["Name"], one["Labels"]) for one in volumes]
    for kind, name, key, carried in parts:
        if not labels.identity_of(carried):
            continue
        remove: Callable[[str], object] = engine.remove_network if kind == "network" else engine.remove_volume
        try:
            remove(key)
        except NotFound:  # somebody else's `down` was quicker
            continue
        except APIError as exc:
            if exc.status_code not in IN_USE:
                raise
            if kind == "network" and _dismiss_guests(engine, key) and _let_go(engine, key, []):
                removed.append(f"{kind} {name}")
                continue
            newer = ours()
            is_own = kind == "network" and not newer and _is_empty(engine, key)
            # A deployer that lives makes others all the time; without the network it can't.
            is_held = kind == "network" and (newer or is_own)
            if is_held and _let_go(engine, key, [name_of(one) for one in newer or found]):
                removed.append(f"{kind} {name}")
                continue
            why = str(exc.explanation or exc)
            stays.append(StuckPart(kind=kind, name=name, why=why, is_engines_own=is_own))
        else:
            removed.append(f"{kind} {name}")
    # One that somebody else is removing is still told of; another may be a deployer's that made it meanwhile.
    return stays or [StuckPart(kind="container", name=name_of(one), why="it is still there") for one in ours()]


def _is_empty(engine: APIClient, network: str) -> bool:
    """Whether the engine itself says that no container is in a network."""
    try:
        return not engine.inspect_network(network).get("Containers")
    except NotFound:
        return True


def _dismiss_guests(engine: APIClient, network: str) -> bool:
    """Put labs out of a network that were in it only to reach its doors; whether there was one."""
    dismissed = False
    with suppress(NotFound):
        inspected = engine.inspect_network(network)
        for container in inspected.get("Containers") or ():
            with suppress(APIError):
                if is_guest(engine.inspect_container(container), inspected["Name"]):
                    engine.disconnect_container_from_network(container, network, force=True)
                    dismissed = True
    return dismissed


def _let_go(engine: APIClient, network: str, names: Sequence[str]) -> bool:
    """Make the engine drop these containers, or what is left of them, from a network and remove it; whether it did so.

    An engine may keep an endpoint of a container that was removed while it started. A disconnection by force finds it
    by the container's name, though there is no container of it any more.
    """
    for name in names:
        with suppress(APIError):
            engine.disconnect_container_from_network(name, network, force=True)
    try:
        engine.remove_network(network)
    except NotFound:
        return True
    except APIError:
        return False
    return True


def name_of(container: Mapping[str, Any]) -> str:
    """A container's name, of what the engine lists."""
    return str(container["Names"][0]).lstrip("/")


def remove_container(engine: APIClient, container: str) -> bool:
    """Remove it, whatever it is doing; False where it was gone or going already."""
    try:
        engine.remove_container(container, force=True, v=True)
    except APIError as exc:
        if exc.status_code not in GONE_MEANWHILE:
            raise
        return False
    return True
