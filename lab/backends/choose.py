"""Which backend a command works on."""

from __future__ import annotations

from collections.abc import Sequence

from lab.backends.docker import DockerBackend
from lab.backends.protocol import Backend, Say
from lab.machine.engine import connect
from lab.machine.images import ImageShelf
from lab.machine.places import find_places
from lab.machine.reach import check_bind
from lab.machine.setup import Toolbox, make_ready


def make_backend(say: Say, needs: Sequence[str] = ()) -> Backend:
    """A backend on which clusters can be brought up; whatever this machine lacks for that is made, and said.

    Raises SetupError where this machine is none on which the lab installs an engine, and UsageError where the engine is
    elsewhere and nothing was said of where its doors may be published.
    """
    check_bind()
    return backend_on(make_ready(find_places(), say, needs))


def connect_backend() -> Backend:
    """A backend on which clusters may stand already; nothing is made. Raises EngineError where no engine answers."""
    places, engine = find_places(), connect()
    return backend_on(Toolbox(places=places, engine=engine, compose=(), images=ImageShelf(engine, places.images)))


def backend_on(toolbox: Toolbox) -> Backend:
    """The backend of a machine that is ready."""
    return DockerBackend(toolbox)
