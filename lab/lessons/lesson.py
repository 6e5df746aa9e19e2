"""A lesson: a folder with a page to read, something broken to mend, its solution, and how it is graded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import msgspec.yaml
from msgspec import field

from lab.errors import UsageError
from lab.model import Value
from lab.oracle.promises import PROMISES

LIBRARY = Path(__file__).resolve().parent
HINTS = 3
OWN = "mine:"
"""What a lesson's scenario calls the images that are built from the participant's files: "mine:v1", "mine:v2"."""


class LessonFile(Value):
    """lesson.yaml."""

    title: str
    breaks: str
    """The promise that what is broken must break."""
    hints: tuple[str, ...]
    """From a nudge to nearly all of it; each is one or two sentences."""
    may_break: dict[str, str] = field(default_factory=dict)
    """Promises that may break with it, each with the reason."""
    may_change: tuple[str, ...] = ()
    """Key paths of the scenario that are the participant's to change ("cluster.affinity"); the rest is the test."""
    at_most: dict[str, float] = field(default_factory=dict)
    """The most that a number may be which is theirs to change, by its key path: a promise must promise something."""
    over: dict[str, str] = field(default_factory=lambda: {"v1": "shop:v1", "v2": "shop:v2"})
    """The shop's image that each release of the participant's is laid over."""
    slots_each: int = 0
    """How many slots must have served each user for a pass; 0: not asked."""
    rolls_back: bool = False
    """Whether a pass means that the new release was given up and nobody was harmed."""


class Lesson(Value):
    """A lesson as it lies in its folder."""

    number: int
    folder: Path
    told: LessonFile

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def word(self) -> str:
        """Its name without the number."""
        return self.name.partition("-")[2]

    @property
    def title(self) -> str:
        return self.told.title

    @property
    def broken(self) -> Path:
        return self.folder / "broken"

    @property
    def solution(self) -> Path:
        return self.folder / "solution"

    @property
    def given(self) -> Path:
        """What the lesson needs and nobody has to look at."""
        return self.folder / "given"


def read_lessons(library: Path = LIBRARY) -> list[Lesson]:
    """Every lesson, by number. Raises UsageError for a lesson that is not whole."""
    return [_read(folder) for folder in sorted(library.glob("[0-9][0-9]-*")) if folder.is_dir()]


def find_lesson(lessons: Sequence[Lesson], asked: str) -> Lesson:
    """The lesson of this number or name, with or without its number. Raises UsageError where there is none."""
    for lesson in lessons:
        if asked in {lesson.name, lesson.word} or (asked.isdigit() and int(asked) == lesson.number):
            return lesson
    known = ", ".join(str(lesson.number) for lesson in lessons)
    raise UsageError(f"unknown lesson {asked!r}, only {known}", at="lab lesson", hint="lab lesson list")


def files_of(folder: Path) -> Iterator[Path]:
    """The files of a folder by path, without what Python leaves behind."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _read(folder: Path) -> Lesson:
    path = folder / "lesson.yaml"
    try:
        told = msgspec.yaml.decode(path.read_bytes(), type=LessonFile)
    except (OSError, msgspec.DecodeError) as exc:
        raise UsageError(f"can't be read: {exc}", at=str(path)) from exc
    wrong = _what_is_wrong(folder, told)
    if wrong:
        raise UsageError(wrong, at=str(path))
    return Lesson(number=int(folder.name[:2]), folder=folder, told=told)


def _what_is_wrong(folder: Path, told: LessonFile) -> str:
    """Why this is not a whole lesson; empty if it is."""
    if len(told.hints) != HINTS or not all(hint.strip() for hint in told.hints):
        return f"a lesson has {HINTS} hints, and none is empty"
    if not set(told.at_most) <= set(told.may_change):
        return "at_most names keys that may be changed"
    return _which_promise_is_wrong(told) or _which_file_is_wrong(folder)


def _which_promise_is_wrong(told: LessonFile) -> str:
    unknown = {told.breaks, *told.may_break} - set(PROMISES)
    if unknown:
        return f"there is no promise {', '.join(sorted(unknown))}"
    if told.breaks in told.may_break or not all(why.strip() for why in told.may_break.values()):
        return "may_break names other promises than `breaks`, each with its reason"
    return ""


def _which_file_is_wrong(folder: Path) -> str:
    lacking = [name for name in ("README.md", "broken/scenario.yaml", "solution") if not (folder / name).exists()]
    if lacking:
        return f"there is no {', '.join(lacking)}"
    broken, solution = folder / "broken", folder / "solution"
    strange = [path for path in files_of(solution) if not (broken / path.relative_to(solution)).exists()]
    if strange:
        return f"the solution has a file that the participant never got: {strange[0].relative_to(folder)}"
    return ""
