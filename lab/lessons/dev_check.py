"""For authors: what is broken must break, by the promise that its lesson names and no other; its solution must hold.

A lesson whose broken half passes teaches nothing, and one whose solution fails can't be passed. Both are tried on
real containers, as a participant would.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lab.errors import ExitCode, LabError, UsageError
from lab.lessons.attempt import Attempt, attempt, needs_of, owner_of, prepare
from lab.lessons.grade import broken_promises
from lab.lessons.lesson import Lesson, LessonFile, find_lesson, read_lessons
from lab.lessons.workplace import complete, read_spec
from lab.machine.layers import drop_layers
from lab.machine.places import find_places
from lab.machine.setup import Toolbox, make_ready
from lab.model import Value

MOST_SEEDS = 1000
Say = Callable[[str], None]


class Tried(Value):
    """One half of a lesson, tried with one seed; `wrong` is empty where it came out as it must."""

    lesson: int
    half: str
    seed: int
    broken: tuple[str, ...] = ()
    operations: int = 0
    seconds: float = 0.0
    record: str = ""
    wrong: str = ""

    @property
    def line(self) -> str:
        """One line for people."""
        came = self.wrong or (f"broke {', '.join(self.broken)}, as it must" if self.broken else "held, as it must")
        end = f"{self.operations} operations, {self.seconds:.0f} s, {self.record}"
        return f"{'✕' if self.wrong else '✓'} {self.lesson:>2} {self.half:<8} seed {self.seed}: {came}; {end}"


def check_lessons(asked: Sequence[str], *, seeds: int, say: Say) -> int:
    """Try both halves of each lesson over `seeds` seeds; the last line counts. Exit 1 if any came out wrong.

    Raises UsageError for a number of seeds that would try nothing.
    """
    if not 1 <= seeds <= MOST_SEEDS:
        raise UsageError(f"must be from 1 to {MOST_SEEDS}", at=f"--seeds {seeds}", hint="--seeds 3")
    lessons = read_lessons()
    chosen = [find_lesson(lessons, one) for one in asked] or lessons
    needs = {image for lesson in chosen for image in needs_of(lesson, read_spec(lesson, lesson.broken))}
    toolbox = make_ready(find_places(), say, sorted(needs))
    tried = []
    for lesson in chosen:
        for one in _try_both(lesson, range(1, seeds + 1), toolbox):
            tried.append(one)
            say(one.line)
    broken = [one for one in tried if one.half == "broken"]
    solutions = [one for one in tried if one.half == "solution"]
    say(
        f"lessons: {sum(not one.wrong for one in broken)} of {len(broken)} broken halves red by their own promise,"
        f" {sum(not one.wrong for one in solutions)} of {len(solutions)} solutions held;"
        f" {sum(one.operations for one in tried)} operations"
    )
    return ExitCode.BROKEN if any(one.wrong for one in tried) else ExitCode.HELD


def _try_both(lesson: Lesson, seeds: Sequence[int], toolbox: Toolbox) -> Iterator[Tried]:
    with tempfile.TemporaryDirectory() as made:
        whole = Path(made) / lesson.name
        complete(lesson, whole)
        for half, folder in (("broken", lesson.broken), ("solution", whole)):
            owner = owner_of(whole.with_suffix(f".{half}"))
            for seed in seeds:
                yield _try(lesson, half, folder, seed, toolbox, owner)
            drop_layers(toolbox.engine, owner, but=())


def _try(lesson: Lesson, half: str, folder: Path, seed: int, toolbox: Toolbox, owner: str) -> Tried:
    try:
        prepared = prepare(lesson, folder, toolbox, seed=seed, say=lambda _line: None, owner=owner)
    except LabError as exc:
        return Tried(lesson=lesson.number, half=half, seed=seed, wrong=str(exc))
    done = attempt(lesson, prepared, toolbox, say=lambda _line: None, is_shown=False)
    judgement = done.judged.judgement
    broken = broken_promises(judgement)
    return Tried(
        lesson=lesson.number,
        half=half,
        seed=seed,
        broken=tuple(sorted(broken)),
        operations=judgement.evidence.operations,
        seconds=done.seconds,
        record=done.record.name,
        wrong=what_is_wrong_with_broken(lesson.told, broken, done) if half == "broken" else _wrong_solution(done),
    )


def what_is_wrong_with_broken(told: LessonFile, broken: set[str], done: Attempt | None = None) -> str:
    """Empty where it broke by the promise named, and beside it by none but those it may."""
    if told.breaks not in broken:
        reasons = "".join(f"; {reason}" for reason in done.judged.judgement.reasons) if done is not None else ""
        return f"{told.breaks} was not broken, but {', '.join(sorted(broken)) or 'nothing'}{reasons}"
    others = broken - {told.breaks, *told.may_break}
    return f"broke {', '.join(sorted(others))} too, which has nothing to do with it" if others else ""


def _wrong_solution(done: Attempt) -> str:
    if done.grade.passed:
        return ""
    judgement = done.judged.judgement
    first = judgement.findings[0].why if judgement.findings else ""
    return f"the solution is not passed: {done.grade.say} {'; '.join((*judgement.reasons, first))}"
