"""Which backend a command works on."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lab.backends.docker import DockerBackend
from lab.backends.protocol import Backend, Say
from lab.backends.swarm import SwarmBackend
from lab.errors import UsageError
from lab.machine.engine import connect
from lab.machine.images import ImageShelf
from lab.machine.places import find_places
from lab.machine.projects import default_project
from lab.machine.reach import check_bind
from lab.machine.setup import Toolbox, make_ready
from lab.machine.swarm import find_swarm
from lab.machine.yard import yard_name

ON = "LAB_ON"
"""The variable that says it, to this process and to the deployers that it starts: what `--on` is given."""
ENGINE = "engine"
BEGINS_SWARM = "LAB_BEGINS_SWARM"
"""The number of the process that was given `--init`: it alone may let an engine which is in no swarm begin one."""


def make_backend(say: Say, needs: Sequence[str] = (), *, on: str = "") -> Backend:
    """A backend on which clusters can be brought up; whatever this machine lacks for that is made, and said.

    `on`: the one of this name, whatever `--on` says.

    Raises SetupError where this machine is none on which the lab installs an engine, and UsageError where the engine is
    elsewhere and nothing was said of where its doors may be published.
    """
    check_bind()
    return backend_on(make_ready(find_places(), say, needs), on)


def connect_backend() -> Backend:
    """A backend on which clusters may stand already; nothing is made. Raises EngineError where no engine answers."""
    places, engine = find_places(), connect()
    return backend_on(Toolbox(places=places, engine=engine, compose=(), images=ImageShelf(engine, places.images)))


def backend_on(toolbox: Toolbox, on: str = "") -> Backend:
    """The backend of a machine that is ready: its engine alone, or the swarm that is meant."""
    on = on or os.environ.get(ON) or ENGINE
    if on in {ENGINE, DockerBackend.name}:
        return DockerBackend(toolbox)
    if on != SwarmBackend.name:
        raise UsageError("no such place for clusters", at=f"{ON}={on}", hint=f"{ENGINE} | {SwarmBackend.name}")
    name = yard_name(default_project(toolbox.places))
    may_begin = os.environ.get(BEGINS_SWARM) == str(os.getpid())
    return SwarmBackend(toolbox, find_swarm(toolbox.engine, name, begins_one=may_begin))
