"""`lab workshop`: the whole workshop in one file, for a class without internet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lab.errors import ExitCode, UsageError
from lab.lessons.attempt import needs_of
from lab.lessons.lesson import read_lessons
from lab.lessons.workplace import read_spec
from lab.machine.engine import connect
from lab.machine.images import ImageShelf
from lab.machine.install import provide_engine
from lab.machine.pack import SOURCES, pack, unpack
from lab.machine.places import find_places
from lab.machine.setup import make_ready

Say = Callable[[str], None]


def pack_workshop(file: Path, say: Say, *, python: str = "") -> int:
    """Write sources, images and Python packages into `file`. Raises UsageError where no file can be made there.

    The packages are for this Python, or for another version of it on such a system ("3.13").
    """
    if file.is_dir() or not file.resolve().parent.is_dir():
        raise UsageError("no file can be made there", at=str(file), hint="lab workshop pack workshop.tar")
    places = find_places()
    needs = {image for lesson in read_lessons() for image in needs_of(lesson, read_spec(lesson, lesson.broken))}
    toolbox = make_ready(places, say, sorted(needs))
    names = (*toolbox.images.names, *sorted(needs))
    manifest = pack(places, toolbox.images, toolbox.engine, names, file, say, python=python)
    say(f"wrote {file}: {file.stat().st_size / 1e6:.0f} MB, {len(manifest.images)} images, for {manifest.python}")
    say("  on each machine of the class, which needs an engine, make and that Python, but no internet:")
    say(f"    tar xf {file.name} {SOURCES}; cd {SOURCES}; make setup LAB_PACK=../{file.name}")
    return ExitCode.HELD


def unpack_workshop(file: Path, say: Say) -> int:
    """Load what was packed; afterwards nothing has to be fetched any more."""
    places = find_places()
    provide_engine(places, say).close()
    engine = connect()
    manifest = unpack(places, ImageShelf(engine, places.images), engine, file, say)
    engine.close()
    say(f"{len(manifest.images)} images are there")
    return ExitCode.HELD
