"""`lab lesson` on the command line, as far as it needs no containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli import run_command_line
from lab.errors import ExitCode
from lab.lessons.lesson import read_lessons
from lab.lessons.progress import read_progress, write_progress

LESSONS = read_lessons()
FIRST = LESSONS[0]


@pytest.fixture
def lesson(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Lesson:
    return Lesson(tmp_path / "workshop", capsys)


class Lesson:
    """A participant at the command line."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def __call__(self, *argv: str, code: ExitCode = ExitCode.HELD) -> str:
        """What is said, on both channels; the exit code is checked."""
        assert run_command_line(["lesson", "--folder", str(self.folder), *argv]) == code
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        return said.out + said.err

    @property
    def file(self) -> Path:
        return self.folder / FIRST.name / "shop" / "kept.py"


def test_the_list_names_every_lesson_and_how_to_begin(lesson: Lesson) -> None:
    """What somebody sees first."""
    said = lesson("list")
    assert all(one.title in said for one in LESSONS)
    assert "lab lesson start 1" in said


def test_start_copies_what_is_read_and_edited_and_no_hint(lesson: Lesson) -> None:
    """Nothing that gives it away lies beside it."""
    assert str(lesson.file) in lesson("start", "1")
    there = {path.name for path in (lesson.folder / FIRST.name).rglob("*") if path.is_file()}
    assert there == {"README.md", "scenario.yaml", "kept.py"}


def test_hints_come_one_at_a_time_and_then_all_again(lesson: Lesson) -> None:
    """Nobody gets more than they asked for."""
    lesson("start", "1")
    for number in (1, 2, 3):
        said = lesson("hint")
        assert f"hint {number} of 3" in said
        assert said.count("hint ") - said.count("hint:") == 1 or number == 3
    assert all(f"hint {number} of 3" in lesson("hint") for number in (1,))


def test_the_solution_comes_after_an_honest_try(lesson: Lesson) -> None:
    """Or for whoever insists."""
    lesson("start", "1")
    assert "failed" in lesson("solution", code=ExitCode.USAGE)
    assert '+        await self._store.ask("DEL", name)' in lesson("solution", "--peek")
    progress = read_progress(lesson.folder)
    write_progress(lesson.folder, progress.with_standing(FIRST.name, failed=1))
    assert "+++" in lesson("solution")


def test_a_reset_keeps_what_was_written(lesson: Lesson) -> None:
    """Beside the lesson, under a name that is said."""
    lesson("start", "1")
    broken = lesson.file.read_text()
    lesson.file.write_text("mine = 1\n")
    said = lesson("reset")
    assert lesson.file.read_text() == broken
    [aside] = lesson.folder.glob(f"{FIRST.name}.before-*")
    assert (aside / "shop" / "kept.py").read_text() == "mine = 1\n"
    assert aside.name in said


def test_next_begins_the_first_that_is_not_passed(lesson: Lesson) -> None:
    """And says so when there is none."""
    assert FIRST.title in lesson("next")
    progress = read_progress(lesson.folder)
    write_progress(lesson.folder, progress.with_standing(FIRST.name, passed=True))
    assert LESSONS[1].title in lesson("next")
    for one in LESSONS:
        progress = progress.with_standing(one.name, passed=True)
    write_progress(lesson.folder, progress)
    assert "all" in lesson("next")


@pytest.mark.parametrize("act", ["check", "hint", "solution", "reset"])
def test_without_a_lesson_the_way_to_begin_is_said(lesson: Lesson, act: str) -> None:
    """Not a traceback, and nothing is written."""
    assert "lab lesson start 1" in lesson(act, code=ExitCode.USAGE)
    assert not lesson.folder.exists()


def test_a_mistake_in_a_file_is_told_before_anything_is_built(lesson: Lesson) -> None:
    """With file and line, and it does not count as a failed check."""
    lesson("start", "1")
    lesson.file.write_text("def f(:\n")
    said = lesson("check", code=ExitCode.USAGE)
    assert "kept.py, line 1" in said
    assert read_progress(lesson.folder).of(FIRST.name).failed == 0
