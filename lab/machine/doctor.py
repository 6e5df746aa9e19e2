"""Looks at each thing the lab needs of this machine and says, in one line each, what is so and what mends it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime

import psutil
from docker import APIClient

from lab.errors import LabError
from lab.machine.engine import OLDEST_API, api_of, describe, engine_address, try_connect
from lab.machine.halt import halted_by
from lab.machine.images import ImageShelf
from lab.machine.install import find_compose, look_at_machine, plan_engine
from lab.machine.places import Places
from lab.machine.sweep import find_clusters
from lab.model import Value

LEAST_DISK_MB = 2000
LEAST_MEMORY_MB = 1500


class Checkup(Value):
    """One line of `lab doctor`. `mend` is the command that helps where `is_well` is false."""

    name: str
    is_well: bool
    seen: str
    mend: str = ""


def examine(places: Places, *, now: datetime) -> Iterator[Checkup]:
    """Every checkup, in the order in which one needs the other; nothing is changed."""
    try:
        engine = try_connect()
    except LabError as exc:  # a context that there is none of
        yield Checkup(name="engine", is_well=False, seen=str(exc).partition("\n")[0], mend=exc.hint)
        return
    found = _engine(engine)
    yield found
    yield _compose()
    yield _disk(places)
    yield _memory()
    if engine is not None and found.is_well:
        yield from _images(engine, places)
        yield _leftovers(engine, now)
        yield _strikes(engine)
    if engine is not None:
        engine.close()


def _engine(engine: APIClient | None) -> Checkup:
    if engine is None:
        try:
            todo = " and ".join(plan_engine(look_at_machine()))
        except LabError as exc:
            return Checkup(name="engine", is_well=False, seen=exc.what, mend=exc.hint)
        return Checkup(name="engine", is_well=False, seen="none answers", mend=f"lab setup   # will {todo} one")
    try:
        info = describe(engine)
    except LabError as exc:
        return Checkup(name="engine", is_well=False, seen=exc.what, mend=exc.hint)
    try:
        old = api_of(info.api) < OLDEST_API
    except LabError as exc:
        return Checkup(name="engine", is_well=False, seen=exc.what, mend=exc.hint)
    return Checkup(
        name="engine",
        is_well=not old,
        seen=f"{info.title} (API {info.api}) on {info.system}, {info.cores} cores, at {engine_address()}",
        mend="upgrade Docker to 20.10 or newer",
    )


def _compose() -> Checkup:
    found = find_compose()
    return Checkup(
        name="compose",
        is_well=found is not None,
        seen=" ".join(found) if found else "no Compose v2 or newer",
        mend="lab setup",
    )


def _disk(places: Places) -> Checkup:
    free = shutil.disk_usage(places.root).free // 2**20
    return Checkup(
        name="disk",
        is_well=free >= LEAST_DISK_MB,
        seen=f"{free} MB free",
        mend=f"free some: {LEAST_DISK_MB} MB are needed; lab clean --all removes the lab's images",
    )


def _memory() -> Checkup:
    free = psutil.virtual_memory().available // 2**20
    return Checkup(
        name="memory",
        is_well=free >= LEAST_MEMORY_MB,
        seen=f"{free} MB available",
        mend=f"close something: {LEAST_MEMORY_MB} MB are needed for a cluster of six",
    )


def _images(engine: APIClient, places: Places) -> Iterator[Checkup]:
    shelf = ImageShelf(engine, places.images)
    missing = set(shelf.missing())
    yield Checkup(name="image base", is_well="base" not in missing, seen=shelf.base_tag, mend="lab setup")
    for name in shelf.names:
        yield Checkup(name=f"image {name}", is_well=name not in missing, seen=shelf.tag(name), mend="lab setup")


def _leftovers(engine: APIClient, now: datetime) -> Checkup:
    left = [one.identity.project for one in find_clusters(engine, now=now) if one.is_abandoned]
    return Checkup(
        name="leftovers",
        is_well=not left,
        seen=", ".join(left) if left else "none",
        mend="lab clean",
    )


def _strikes(engine: APIClient) -> Checkup:
    who = halted_by(engine)
    seen = f"halted on this engine by {who}" if who else "not halted on this engine"
    return Checkup(name="strikes", is_well=not who, seen=seen, mend="lab halt --over")
