"""Passed is only what held, was checked enough, and ended as the lesson wants; progress is a note and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import ExitCode
from lab.lessons.grade import fewest_slots, grade
from lab.lessons.lesson import LessonFile
from lab.lessons.progress import FILE, WorkshopProgress, read_progress, write_progress
from lab.model import Kind, Operation, Outcome, PromiseResult, Try, Verdict
from lab.oracle.verdict import Evidence, Judgement

TOLD = LessonFile(title="t", breaks="logged_in", hints=("a", "b", "c"))
EVIDENCE = Evidence(operations=1, users=1, users_hurt=0, checks={})


def judged(verdict: Verdict, code: ExitCode, *broken: str) -> Judgement:
    promises = tuple(
        PromiseResult(promise=name, title="", verdict=Verdict.BROKEN, count=1, checks="", broken=1) for name in broken
    )
    return Judgement(verdict=verdict, exit_code=code, promises=promises, findings=(), reasons=(), evidence=EVIDENCE)


HELD = judged(Verdict.HELD, ExitCode.HELD)
BACK = judged(Verdict.HELD, ExitCode.ROLLED_BACK)
BROKEN = judged(Verdict.BROKEN, ExitCode.BROKEN, "logged_in")
OTHER = judged(Verdict.BROKEN, ExitCode.BROKEN, "tries")
UNWELL = judged(Verdict.COULD_NOT_TELL, ExitCode.COULD_NOT_TELL)
LITTLE = judged(Verdict.COULD_NOT_TELL, ExitCode.TOO_LITTLE_CHECKED)


@pytest.mark.parametrize(
    ("judgement", "rolls_back", "slots", "passed", "code", "said"),
    [
        (HELD, False, 3, True, ExitCode.HELD, "Passed"),
        (HELD, False, 2, False, ExitCode.BROKEN, "2 of the slots only"),
        (HELD, True, 3, False, ExitCode.BROKEN, "was kept"),
        (BACK, True, 3, True, ExitCode.HELD, "Passed"),
        (BACK, False, 3, False, ExitCode.BROKEN, "given up"),
        (BROKEN, False, 3, False, ExitCode.BROKEN, "Broken: logged_in"),
        (OTHER, False, 3, False, ExitCode.BROKEN, "something else broke: tries"),
        (UNWELL, False, 3, False, ExitCode.COULD_NOT_TELL, "Nothing counts"),
        (LITTLE, False, 3, False, ExitCode.TOO_LITTLE_CHECKED, "Nothing counts"),
    ],
)
def test_a_grade_says_what_came_of_it(
    judgement: Judgement, rolls_back: bool, slots: int, passed: bool, code: ExitCode, said: str
) -> None:
    """And only what the lab could tell counts as a failed try."""
    told = LessonFile(title="t", breaks="logged_in", hints=("a", "b", "c"), rolls_back=rolls_back, slots_each=3)
    graded = grade(told, judgement, slots)
    assert (graded.passed, graded.exit_code) == (passed, code)
    assert said in graded.say
    assert graded.is_failure == (code is ExitCode.BROKEN)


def did(user: str, *replicas: str | None) -> Operation:
    tries = tuple(Try(begin=0, end=1, result="200", replica=replica) for replica in replicas)
    return Operation(id=1, user=user, device=user, kind=Kind.BROWSE, begin=0, end=1, outcome=Outcome.OK, tries=tries)


def test_slots_are_counted_not_replicas() -> None:
    """A user who stays in one slot through an upgrade has met two replicas and is tied all the same."""
    assert fewest_slots([did("ann", "a1-1", "a1-7"), did("ann", None)]) == 1
    assert fewest_slots([did("ann", "a1-1"), did("ann", "b1-2"), did("bob", "a1-1")]) == 1
    assert fewest_slots([did("ann", "a1-1"), did("ann", "b1-2"), did("bob", "a1-1", "c1-3")]) == 2
    assert fewest_slots([]) == 0


def test_progress_is_kept(tmp_path: Path) -> None:
    """From one call to the next."""
    progress = WorkshopProgress(current="01-x").with_standing("01-x", failed=2).with_standing("01-x", hints=1)
    write_progress(tmp_path / "w", progress)
    again = read_progress(tmp_path / "w")
    assert again == progress
    assert (again.of("01-x").failed, again.of("01-x").hints, again.of("02-y").failed) == (2, 1, 0)


@pytest.mark.parametrize("text", ["", "{", '{"lessons": 7}', '{"unknown": 1}'])
def test_a_spoilt_note_is_no_disaster(tmp_path: Path, text: str) -> None:
    """Every check can be made again."""
    (tmp_path / FILE).write_text(text)
    assert read_progress(tmp_path) == WorkshopProgress()
