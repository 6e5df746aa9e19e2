"""The workshop on real containers: every lesson from both sides, participants at once, and a team at the wheel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.errors import ExitCode
from lab.lessons.attempt import owner_of
from lab.lessons.lesson import Lesson, find_lesson, read_lessons
from lab.lessons.progress import read_progress
from lab.lessons.wheel import draw
from lab.lessons.workplace import complete
from lab.machine.layers import OWNER
from lab.machine.setup import Toolbox
from lab.record import Office, Strike
from tests.e2e.runs import Ended, is_gone, lab, start, wait

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time]
LESSONS = read_lessons()
BOTH_HALVES = 400.0
"""Seconds that a lesson's two runs may take; a quiet machine needs 40 to 90."""
FIRST, DEPLOYER = find_lesson(LESSONS, "1"), find_lesson(LESSONS, "13")


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda one: one.name)
def test_what_is_broken_breaks_by_its_promise_and_the_solution_holds(lesson: Lesson) -> None:
    """By that promise and no other that the lesson allows; `make prove PART=lessons` tries it with three seeds."""
    with start("lesson", "dev-check", lesson.name, "--seeds", "1") as process:
        ended = wait(process, within=BOTH_HALVES)
    assert ended.code == ExitCode.HELD, ended.out + ended.err
    assert "1 of 1 broken halves red by their own promise, 1 of 1 solutions held" in ended.out


@pytest.mark.prove
def test_two_participants_at_once_each_get_what_they_deserve(toolbox: Toolbox, tmp_path: Path) -> None:
    """On one machine and one engine, each in a folder of theirs: red by the lesson's own promise, and passed.

    Neither has anything of the other's, and nothing of either is left.
    """
    anna, bert = tmp_path / "anna", tmp_path / "bert"
    assert lab("lesson", "start", "1", LAB_WORKSHOP=str(anna)).code == ExitCode.HELD
    complete(FIRST, bert / FIRST.name)
    with (
        start("lesson", "check", "--seed", "1", "--ui", LAB_WORKSHOP=str(anna)) as first,
        start("lesson", "--folder", str(bert), "check", "1", "--seed", "1") as second,
    ):
        broken, passed = wait(first), wait(second)
    assert broken.code == ExitCode.BROKEN, broken.out + broken.err
    assert f"Broken: {FIRST.told.breaks}" in broken.out
    assert "lab lesson hint" in broken.out
    assert "page http://127.0.0.1:" in broken.out
    assert (broken.folder / "report.html").is_file()
    assert passed.code == ExitCode.HELD, passed.out + passed.err
    assert "✓ Passed" in passed.out
    assert read_progress(anna).of(FIRST.name).failed == 1
    assert read_progress(bert).of(FIRST.name).passed
    assert broken.folder != passed.folder
    for ended in (broken, passed):
        assert is_gone(toolbox, ended.project)
    built = [image_of(toolbox, anna / FIRST.name), image_of(toolbox, bert / FIRST.name)]
    assert [ran_with(broken), ran_with(passed)] == [{built[0]}, {built[1]}]
    assert built[0] != built[1]


def image_of(toolbox: Toolbox, folder: Path) -> str:
    """The id of the one image that was built from a folder; by its labels `lab clean --all` may remove it."""
    [built] = toolbox.engine.images(filters={"label": [f"{OWNER}={owner_of(folder)}"]})
    assert (built["Labels"]["lab.project"], built["Labels"]["lab.role"]) == ("images", "image")
    return str(built["Id"])


def ran_with(ended: Ended) -> set[str]:
    """The ids of the participant's images that a run's record names."""
    images = json.loads((ended.folder / "environment.json").read_text())["images"]
    return {content for tag, content in images.items() if "/layer-" in tag}


@pytest.mark.prove
def test_a_team_names_what_the_wheel_drew_and_mends_it(toolbox: Toolbox, tmp_path: Path) -> None:
    """A deployer that dies and remembers, of which nothing is told; once it looks, another one goes on."""
    seed = next(one for one in range(1000) if draw(LESSONS, one) is DEPLOYER)
    spun = lab("lesson", "wheel", "--seed", str(seed), LAB_WORKSHOP=str(tmp_path))
    assert spun.code == ExitCode.HELD, spun.out + spun.err
    told = spun.out.partition("one of these:")[0]
    assert "no slot moved twice" in told
    assert DEPLOYER.word not in told
    assert DEPLOYER.title not in told
    assert DEPLOYER.word not in (spun.folder / "scenario.json").read_text()
    assert "likely" not in spun.out + lab("check", str(spun.folder)).out
    assert DEPLOYER.word in lab("lesson", "wheel", "--sheet", LAB_WORKSHOP=str(tmp_path)).out
    assert lab("lesson", "wheel", "--guess", DEPLOYER.word, LAB_WORKSHOP=str(tmp_path)).code == ExitCode.HELD
    mine = tmp_path / "wheel" / "rollout.py"
    assert mine.read_text() == (DEPLOYER.broken / "rollout.py").read_text()
    mine.write_text((DEPLOYER.solution / "rollout.py").read_text())
    mended = lab("lesson", "wheel", "--check", LAB_WORKSHOP=str(tmp_path))
    assert mended.code == ExitCode.HELD, mended.out + mended.err
    killed = [event for event in mended.events() if isinstance(event, Strike)]
    leaders = [event.holder for event in mended.events() if isinstance(event, Office) and event.action == "in office"]
    assert [one.fault for one in killed] == ["kill the deployer"]
    assert len(set(leaders)) >= 2  # a busy machine may let a lease run out once more


def test_a_mistake_that_shows_when_the_code_is_loaded_is_told_with_its_line(toolbox: Toolbox, tmp_path: Path) -> None:
    """By the build, before any cluster; and a participant's older images don't pile up."""
    assert lab("lesson", "--folder", str(tmp_path), "start", "8").code == ExitCode.HELD
    mine = tmp_path / find_lesson(LESSONS, "8").name / "shop-v2" / "session_text.py"
    mine.write_text(mine.read_text() + "\nnobody_knows_this\n")
    ended = lab("lesson", "--folder", str(tmp_path), "check")
    assert ended.code == ExitCode.USAGE
    assert "NameError" in ended.err
    assert f"shop/session_text.py, line {len(mine.read_text().splitlines())}" in ended.err
    assert "Traceback" not in ended.err + ended.out
