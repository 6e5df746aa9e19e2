"""The participant's folder: what is copied there, what is read from it, and that nothing of theirs is ever lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from lab.errors import UsageError
from lab.lessons.lesson import OWN, Lesson, files_of
from lab.model import release_name
from lab.scenario.read import read_scenario
from lab.scenario.spec import Scenario, images_of

SCENARIO = "scenario.yaml"
LARGEST_FILE = 1 << 20
"""Bytes of a participant's source file above which it is surely none."""


def check_folder(folder: Path) -> None:
    """Raise UsageError for what can be no folder of lessons."""
    try:
        there = next((one for one in (folder, *folder.resolve().parents) if one.exists()), folder)
        is_folder = there.is_dir()
    except (OSError, ValueError):  # a name that no file can have
        there, is_folder = folder, False
    if not is_folder:
        raise UsageError("is not a folder", at=f"--folder {there}", hint="--folder workshop")


def lay_out(lesson: Lesson, into: Path) -> list[Path]:
    """Copy what the participant reads and edits. What was copied; files that are there stay as they are."""
    copied = []
    sources = [(lesson.folder / "README.md", into / "README.md")]
    sources += [(path, into / path.relative_to(lesson.broken)) for path in files_of(lesson.broken)]
    for source, target in sources:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            copied.append(target)
    return copied


def put_aside(folder: Path, now: datetime) -> Path | None:
    """Move the participant's folder out of the way, under a name that is free; None where there is none."""
    if not folder.exists():
        return None
    stem = f"{folder.name}.before-{now:%Y%m%d-%H%M%S}"
    names = (stem if not number else f"{stem}-{number}" for number in range(1000))
    aside = next(path for path in (folder.with_name(name) for name in names) if not path.exists())
    folder.rename(aside)
    return aside


def read_spec(lesson: Lesson, folder: Path) -> Scenario:
    """The participant's scenario. Raises UsageError where it changes what is not theirs to change."""
    _check_there(lesson, folder)
    asked, given = read_scenario(folder / SCENARIO), read_scenario(lesson.broken / SCENARIO)
    if asked.target is not None:
        what = "a lesson is graded on containers that the lab makes, not on a target"
        raise UsageError(what, at=f"{folder / SCENARIO}: target", hint="put cluster back, or: lab lesson reset")
    was, now = _flat(given, lesson.broken), _flat(asked, folder)
    for key in sorted({*was, *now}):
        if was.get(key) != now.get(key) and not _is_allowed(key, lesson.told.may_change):
            theirs = ", ".join(lesson.told.may_change) or "nothing"
            raise UsageError(
                f"{key} is part of the test (you may change: {theirs}): it was {_told(was, key)}, now it is"
                f" {_told(now, key)}",
                at=str(folder / SCENARIO),
                hint="put it back, or: lab lesson reset",
            )
    for key, most in lesson.told.at_most.items():
        if now.get(key) is None or not now[key] <= most:
            raise UsageError(
                f"{key} is {_told(now, key)}, and {most:g} is the most that it may be",
                at=str(folder / SCENARIO),
                hint=f"promise it, and let it be so: {key.rpartition('.')[2]}: {most:g}",
            )
    return asked


def own_releases(scenario: Scenario) -> list[str]:
    """The releases of a scenario that are built from the participant's files."""
    return [release_name(image) for image in images_of(scenario) if image.startswith(OWN)]


def layer_files(lesson: Lesson, folder: Path, release: str) -> dict[str, bytes]:
    """What lies over the shop's package in a release: the lesson's files, then the participant's.

    Files in shop/ are in every release, those in shop-v2/ in that one alone. Raises UsageError with file and line
    for a file that is no Python.
    """
    _check_there(lesson, folder)
    files: dict[str, bytes] = {}
    for source in (lesson.given, folder):
        for part in ("shop", f"shop-{release}"):
            for path in files_of(source / part):
                if path.suffix == ".py":
                    files[f"shop/{path.relative_to(source / part).as_posix()}"] = _read_python(path)
    return files


def complete(lesson: Lesson, into: Path) -> None:
    """The whole solution as a folder: what is broken, with the solution's files over it."""
    lay_out(lesson, into)
    for path in files_of(lesson.solution):
        target = into / path.relative_to(lesson.solution)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _check_there(lesson: Lesson, folder: Path) -> None:
    for path in files_of(lesson.broken):
        theirs = folder / path.relative_to(lesson.broken)
        if not theirs.is_file():
            raise UsageError("the lesson's file is gone", at=str(theirs), hint=f"lab lesson start {lesson.number}")


def _read_python(path: Path) -> bytes:
    if path.stat().st_size > LARGEST_FILE:
        raise UsageError("is larger than any source file", at=str(path))
    content = path.read_bytes()
    try:
        compile(content, str(path), "exec")
    except SyntaxError as exc:
        at = f"{path}, line {exc.lineno}" if exc.lineno else str(path)
        raise UsageError(f"is not valid Python: {exc.msg}", at=at, hint="fix that line") from None
    except ValueError as exc:
        raise UsageError(f"is not valid Python: {exc}", at=str(path)) from None
    return content


def _flat(scenario: Scenario, folder: Path) -> dict[str, Any]:
    """Every value by its key path; a file by its name in the folder, since both folders have one of that name."""
    if scenario.script is not None:
        scenario = msgspec.structs.replace(scenario, script=os.path.relpath(scenario.script, folder.resolve()))
    return dict(_walk(msgspec.to_builtins(scenario), ""))


def _walk(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(inner, f"{at}.{key}" if at else str(key))
    elif isinstance(value, (list, tuple)):
        yield f"{at}.length", len(value)
        for number, inner in enumerate(value):
            yield from _walk(inner, f"{at}[{number}]")
    else:
        yield at, value


def _is_allowed(key: str, allowed: tuple[str, ...]) -> bool:
    return any(key == one or key.startswith((f"{one}.", f"{one}[")) for one in allowed)


def _told(values: dict[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "not there"
