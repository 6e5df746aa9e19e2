"""The workshop on real containers: two participants at once, one of whom has mended it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cluster.engine import connect
from lab.cluster.layers import OWNER
from lab.cluster.setup import Toolbox
from lab.errors import ExitCode
from lab.lessons.lesson import find_lesson, read_lessons
from lab.lessons.progress import read_progress
from lab.lessons.workplace import complete
from tests.e2e.runs import lab, start, wait

pytestmark = pytest.mark.e2e
LESSON = find_lesson(read_lessons(), "8")


def test_two_participants_at_once_each_get_what_they_deserve(toolbox: Toolbox, tmp_path: Path) -> None:
    """On one machine and one engine, with a cluster each: red by the lesson's own promise, and passed."""
    anna, bert = tmp_path / "anna", tmp_path / "bert"
    assert lab("lesson", "--folder", str(anna), "start", "8").code == ExitCode.HELD
    complete(LESSON, bert / LESSON.name)
    with (
        start("lesson", "--folder", str(anna), "check", "--seed", "1") as first,
        start("lesson", "--folder", str(bert), "check", "8", "--seed", "1") as second,
    ):
        broken, passed = wait(first), wait(second)
    assert broken.code == ExitCode.BROKEN, broken.out + broken.err
    assert f"still broken: {LESSON.told.breaks}" in broken.out
    assert "lab lesson hint" in broken.out
    assert passed.code == ExitCode.HELD, passed.out + passed.err
    assert "✓ Passed" in passed.out
    assert read_progress(anna).of(LESSON.name).failed == 1
    assert read_progress(bert).of(LESSON.name).passed
    # What was built carries the labels by which `lab clean --all` finds what it may remove.
    built = connect().images(filters={"label": [OWNER]})
    assert built
    assert {(one["Labels"]["lab.project"], one["Labels"]["lab.role"]) for one in built} == {("images", "image")}


def test_a_mistake_that_shows_when_the_code_is_loaded_is_told_with_its_line(toolbox: Toolbox, tmp_path: Path) -> None:
    """By the build, before any cluster; and a participant's older images don't pile up."""
    assert lab("lesson", "--folder", str(tmp_path), "start", "8").code == ExitCode.HELD
    mine = tmp_path / LESSON.name / "shop-v2" / "session_text.py"
    mine.write_text(mine.read_text() + "\nnobody_knows_this\n")
    ended = lab("lesson", "--folder", str(tmp_path), "check")
    assert ended.code == ExitCode.USAGE
    assert "NameError" in ended.err
    assert f"shop/session_text.py, line {len(mine.read_text().splitlines())}" in ended.err
    assert "Traceback" not in ended.err + ended.out
