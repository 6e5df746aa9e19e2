"""Which faults the engine of this machine can do: tried out on containers made for it, once for each engine."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from lab.chaos.trial import TRIED, find_impossible
from lab.clock import SYSTEM_CLOCK
from lab.cluster.engine_harm import EngineHarm
from lab.cluster.harm import Victim
from lab.cluster.tear_down import tear_down
from lab.errors import ClusterError
from lab.machine import labels
from lab.machine.engine import engine_errors
from lab.machine.labels import Identity, this_process
from lab.machine.reach import find_job
from lab.machine.setup import Toolbox
from lab.model import Role, Value

LIVES = 300
"""Seconds after which `lab clean` may remove what a killed trial left."""
MEMORY = 64 * 2**20
TRIAL = 2
"""How it is tried; what was found in another way is found out anew."""
_HELD = 16 * 2**20
WAITS = (
    "/bin/sh",
    "-c",
    f"held=$(head -c {_HELD} /dev/zero | tr '\\0' x); trap 'exit 0' TERM; while :; do sleep 60 & wait $!; done",
)
"""What runs in a container that is tried on: it holds as much memory as an app may, and ends when it is told to."""


class Abilities(Value):
    """What was found out of one engine."""

    engine: str
    """Which one, and in which state: another version or kernel is tried anew."""
    impossible: dict[str, str]
    """Faults that it can't do, and why."""


def known_abilities(toolbox: Toolbox) -> Abilities:
    """What this engine can't do: as it was found out before, else tried now, which takes some seconds."""
    engine, kept = _name_of(toolbox), _file(toolbox)
    try:
        known = msgspec.json.decode(kept.read_bytes(), type=Abilities)
    except (OSError, msgspec.DecodeError):
        known = None
    return known if known is not None and known.engine == engine else try_abilities(toolbox)


def try_abilities(toolbox: Toolbox) -> Abilities:
    """Try every fault now, and remember what came of it. Nothing is left of it; nobody else's is touched."""
    with _ground(toolbox) as (target, make):
        found = Abilities(engine=_name_of(toolbox), impossible=find_impossible(target, make, TRIED))
    kept = _file(toolbox)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(msgspec.json.encode(found))
    return found


def _file(toolbox: Toolbox) -> Path:
    return toolbox.places.own / "abilities.json"


def _name_of(toolbox: Toolbox) -> str:
    with engine_errors("ask the engine what it is"):
        info, version = toolbox.engine.info(), toolbox.engine.version()
    parts = (info.get("ID"), version.get("Version"), info.get("KernelVersion"), info.get("CgroupVersion"))
    return " ".join(map(str, (*parts, toolbox.images.tag("cutter"), f"trial {TRIAL}")))


@contextmanager
def _ground(toolbox: Toolbox) -> Iterator[tuple[EngineHarm, Callable[[], Victim]]]:
    """A project with a network and nothing else, and what makes containers in it that may be struck."""
    run = f"trial-{secrets.token_hex(4)}"
    project, expires = f"lab-{run}", int(SYSTEM_CLOCK.wall().timestamp()) + LIVES
    identity = Identity(project=project, run=run, owner=this_process(), expires=expires)
    job = find_job(toolbox.engine, toolbox.places.own)
    mine = {labels.JOB: job} if job else {}  # else nobody but time knows that its job was killed
    engine, target = toolbox.engine, EngineHarm(toolbox.engine, project=project)
    number = 0

    def container(role: Role, **more: str) -> str:
        nonlocal number
        number += 1
        its_labels = {**identity.labels(role.value), **mine, labels.CUTTER_IMAGE: toolbox.images.tag("cutter"), **more}
        # As the lab's own containers are: from inside nobody ends process 1, so that must not be the app.
        host = {"NetworkMode": project, "Memory": MEMORY, "NanoCpus": 10**9, "Init": True}
        body = {
            "Image": toolbox.images.tag("nginx"),
            "Cmd": list(WAITS),
            "Labels": its_labels,
            "HostConfig": host,
        }
        return str(engine.create_container_from_config(body, f"{project}-{number}")["Id"])

    def make() -> Victim:
        made = container(Role.APP, **{labels.SLOT: "a1", labels.ZONE: "a", labels.REPLICA: f"a1-{number}"})
        with engine_errors("start a container"):
            engine.start(made)
        victim = target.read(made)
        if victim is None or not victim.is_running:
            raise ClusterError("a container that was started does not run", at=made[:12], hint="lab doctor")
        return victim

    try:
        with engine_errors("make a network"):
            engine.create_network(project, internal=True, labels={**identity.labels("network"), **mine})
        container(Role.PATTERN)
        yield target, make
    finally:
        tear_down(engine, project)
