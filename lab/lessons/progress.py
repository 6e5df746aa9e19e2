"""How far somebody is: a note beside their lessons, kept for convenience. What counts is that `check` passes."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import field

from lab.model import Value

FILE = ".lab-progress"


class LessonProgress(Value):
    """One lesson's."""

    hints: int = 0
    """How many have been shown."""
    failed: int = 0
    """How many checks came to an honest no."""
    passed: bool = False


class WorkshopProgress(Value):
    """All of a participant's."""

    current: str = ""
    """The name of the lesson that was begun last."""
    lessons: dict[str, LessonProgress] = field(default_factory=dict)

    def of(self, lesson: str) -> LessonProgress:
        return self.lessons.get(lesson, LessonProgress())

    def with_standing(self, lesson: str, **changes: int | bool) -> WorkshopProgress:
        standing = msgspec.structs.replace(self.of(lesson), **changes)
        return msgspec.structs.replace(self, lessons={**self.lessons, lesson: standing})


def read_progress(folder: Path) -> WorkshopProgress:
    """What the note says; nothing where it is missing or spoilt, since every check can be made again."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=WorkshopProgress)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return WorkshopProgress()


def write_progress(folder: Path, progress: WorkshopProgress) -> None:
    """Replace the note as a whole."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"{FILE}.new"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(progress), indent=2) + b"\n")
    new.replace(folder / FILE)
