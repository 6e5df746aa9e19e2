"""The yard for whatever is tried on a swarm: brought up if none is, and then gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.backends.docker import take_down
from lab.machine.engine import connect
from lab.machine.places import find_places
from lab.machine.projects import default_project
from lab.machine.yard import find_yard, yard_name
from lab.operate.yard import bring_yard_up


@contextmanager
def yard_of_nodes() -> Iterator[None]:
    """Three nodes while the block runs; one that was there before stays."""
    engine, places = connect(), find_places()
    name = yard_name(default_project(places))
    was_there = bool(find_yard(engine, name))
    try:
        bring_yard_up(say=print)
        yield
    finally:
        if not was_there:
            take_down(engine, places, name)
        engine.close()
