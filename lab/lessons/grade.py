"""Whether a lesson is passed: decided from the verdict alone, with what to say to the participant."""

from __future__ import annotations

from collections.abc import Iterable

from lab.errors import ExitCode
from lab.lessons.lesson import LessonFile
from lab.model import Operation, Value, Verdict
from lab.oracle.promises import PROMISES
from lab.oracle.verdict import Judgement


class Grade(Value):
    """`say` is one or two sentences for the participant."""

    passed: bool
    exit_code: ExitCode
    say: str

    @property
    def is_failure(self) -> bool:
        """An honest failed try: the lab could tell, and it is not right yet."""
        return self.exit_code is ExitCode.BROKEN


def broken_promises(judgement: Judgement) -> set[str]:
    """The promises that certainly broke."""
    return {one.promise for one in judgement.promises if one.verdict is Verdict.BROKEN}


def grade(told: LessonFile, judgement: Judgement, fewest_slots: int) -> Grade:
    """Passed only if everything held, enough was checked, and the run ended as this lesson wants it.

    `fewest_slots`: how many slots served the user who saw the fewest.
    """
    broken = broken_promises(judgement)
    if broken:
        return Grade(passed=False, exit_code=ExitCode.BROKEN, say=_still_broken(told, broken))
    if judgement.verdict is not Verdict.HELD:
        return Grade(
            passed=False,
            exit_code=judgement.exit_code,
            say="The run does not say whether it is right. Nothing counts; try again.",
        )
    rolled_back = judgement.exit_code is ExitCode.ROLLED_BACK
    if told.rolls_back and not rolled_back:
        say = "Nobody was harmed, but the new release was kept, and it is a bad one."
    elif rolled_back and not told.rolls_back:
        say = "Nobody was harmed, but the new release was given up: it never got to serve everybody."
    elif fewest_slots < told.slots_each:
        say = (
            f"Nobody was harmed, but somebody was served by {fewest_slots} of the slots only, where {told.slots_each}"
            " are wanted: they are still tied to a place."
        )
    else:
        return Grade(passed=True, exit_code=ExitCode.HELD, say="Passed: every promise held, and enough was checked.")
    return Grade(passed=False, exit_code=ExitCode.BROKEN, say=say)


def fewest_slots(history: Iterable[Operation]) -> int:
    """How many slots served the user who saw the fewest; 0 without users."""
    seen: dict[str, set[str]] = {}
    for operation in history:
        slots = seen.setdefault(operation.user, set())
        slots.update(one.replica.rpartition("-")[0] for one in operation.tries if one.replica)
    return min((len(slots) for slots in seen.values()), default=0)


def _still_broken(told: LessonFile, broken: set[str]) -> str:
    named = ", ".join(f"{name} ({PROMISES[name].title.lower()})" for name in PROMISES if name in broken)
    if told.breaks in broken:
        return f"Not yet. Broken: {named}."
    return f"What was broken at first holds now, but something else broke: {named}."
