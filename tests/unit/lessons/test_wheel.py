"""The wheel of misfortune, as far as it needs no containers: what is drawn, named, hidden and given."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lab.cli import run_command_line
from lab.errors import ExitCode
from lab.lessons.lesson import files_of, read_lessons
from lab.lessons.wheel import FILE, MENDED, Spun, draw

LESSONS = read_lessons()
SEED = 4


@pytest.fixture
def spun(tmp_path: Path) -> Path:
    """A team's folder after a spin."""
    (tmp_path / FILE).write_bytes(msgspec.json.encode(Spun(seed=SEED, run="20260101-000000-abcd")))
    return tmp_path


def wheel(folder: Path, *argv: str) -> int:
    return run_command_line(["lesson", "--folder", str(folder), "wheel", *argv])


def test_a_seed_draws_the_same_and_seeds_draw_them_all() -> None:
    """No lesson is never drawn."""
    assert draw(LESSONS, SEED) is draw(LESSONS, SEED)
    assert {draw(LESSONS, seed).name for seed in range(200)} == {lesson.name for lesson in LESSONS}


def test_a_wrong_name_gives_nothing_away(spun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is counted, and no file of the lesson gets into the folder."""
    drawn = draw(LESSONS, SEED)
    other = next(lesson for lesson in LESSONS if lesson.name != drawn.name)
    before = sorted(spun.rglob("*"))
    assert wheel(spun, "--guess", other.word) == ExitCode.BROKEN
    assert drawn.word not in capsys.readouterr().out
    assert sorted(spun.rglob("*")) == before
    assert msgspec.json.decode((spun / FILE).read_bytes(), type=Spun).guesses == 1


def test_the_right_name_gives_the_files_to_mend(spun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its word, its number or its whole name; further guesses are not counted any more."""
    drawn = draw(LESSONS, SEED)
    for name in (drawn.word, drawn.name, str(drawn.number)):
        assert wheel(spun, "--guess", name) == ExitCode.HELD
        assert "named at guess 1" in capsys.readouterr().out
    given = {path.relative_to(spun / MENDED) for path in files_of(spun / MENDED)}
    assert {path.relative_to(drawn.broken) for path in files_of(drawn.broken)} <= given


def test_nothing_is_mended_before_it_is_named(spun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing is named before the wheel was spun."""
    assert wheel(spun, "--check") == ExitCode.USAGE
    assert "lab lesson wheel --guess" in capsys.readouterr().err
    for argv in (("--guess", "sticky"), ("--check",), ("--sheet",)):
        assert wheel(spun / "elsewhere", *argv) == ExitCode.USAGE
        assert "was not spun" in capsys.readouterr().err
    assert not (spun / "elsewhere").exists()


def test_a_name_that_no_fault_has_is_told_and_not_counted(spun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip of the pen is no guess."""
    assert wheel(spun, "--guess", "gremlins") == ExitCode.USAGE
    assert "gremlins" in capsys.readouterr().err
    assert msgspec.json.decode((spun / FILE).read_bytes(), type=Spun).guesses == 0


def test_the_sheet_is_shown_when_it_is_asked_for(spun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It follows from the seed, and lies in nobody's folder."""
    before = sorted(spun.rglob("*"))
    assert wheel(spun, "--sheet") == ExitCode.HELD
    said = capsys.readouterr().out
    assert "Game master's sheet" in said
    assert draw(LESSONS, SEED).word in said
    assert sorted(spun.rglob("*")) == before
