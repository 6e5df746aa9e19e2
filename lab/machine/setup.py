"""All that the lab needs of a machine, made ready in one call that does nothing the second time."""

from __future__ import annotations

from collections.abc import Collection

from docker import APIClient

from lab.machine.engine import connect
from lab.machine.images import ImageShelf
from lab.machine.install import Say, provide_compose, provide_engine
from lab.machine.locks import host_lock
from lab.machine.places import Places
from lab.model import Value


class Toolbox(Value):
    """What a cluster is made with."""

    places: Places
    engine: APIClient
    compose: tuple[str, ...]
    images: ImageShelf


def make_ready(places: Places, say: Say, needs: Collection[str] = ()) -> Toolbox:
    """Engine, Compose and images: what is there is used as it is, what is missing is made, and said.

    `needs` names images beside those that every set-up makes.

    Raises SetupError where this machine is none on which the lab installs an engine.
    """
    provide_engine(places, say).close()
    engine = connect()
    compose = provide_compose(say)
    shelf = ImageShelf(engine, places.images)
    if shelf.missing(needs):
        with host_lock(say):
            shelf.make_missing(say, needs)
    return Toolbox(places=places, engine=engine, compose=tuple(compose), images=shelf)
