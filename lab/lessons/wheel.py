"""The wheel of misfortune: one of the lessons' faults, drawn by a seed. The team names it, then mends it."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import msgspec

from lab.clock import SYSTEM_CLOCK
from lab.console.page import PageSpec
from lab.console.reports import folder_of, short
from lab.errors import ExitCode, RecordError, UsageError
from lab.lessons.attempt import Attempt, Prepared, Say, attempt, needs_of, owner_of, prepare
from lab.lessons.command import difference, to_edit
from lab.lessons.grade import broken_promises
from lab.lessons.lesson import Lesson, find_lesson, read_lessons
from lab.lessons.workplace import lay_out, put_aside, read_spec
from lab.machine.layers import drop_layers
from lab.machine.places import find_places
from lab.machine.setup import make_ready
from lab.model import Value
from lab.oracle.promises import PROMISES
from lab.record import HELD_BACK, ReadRecord
from lab.run.judge import judge_run

FILE = ".lab-wheel"
MENDED = "wheel"
"""The team's folder, once they have named it."""
TITLE = "Wheel of misfortune"


class Spun(Value):
    """What a team is at. What was drawn follows from the seed and is written nowhere."""

    seed: int
    run: str = ""
    guesses: int = 0
    is_named: bool = False


def draw(lessons: Sequence[Lesson], seed: int) -> Lesson:
    """The lesson whose fault a seed stands for."""
    return Random(f"wheel {seed}").choice(lessons)


class Wheel:
    """One team's, in the folder of their lessons."""

    def __init__(self, folder: Path, say: Say) -> None:
        self._folder, self._say = folder, say
        self._lessons = read_lessons()

    def spin(self, *, seed: int | None, port: int | None, page: PageSpec | None) -> int:
        """Draw, and let it go wrong before everybody's eyes. Exit 0 if it did."""
        seed = secrets.randbelow(10**6) if seed is None else seed
        lesson = draw(self._lessons, seed)
        put_aside(self._mended, SYSTEM_CLOCK.wall())
        with tempfile.TemporaryDirectory() as made:
            hidden = Path(made) / "shop"  # a path that tells nothing: it is part of the run's record
            lay_out(lesson, hidden)
            done = self._run(lesson, hidden, seed=seed, port=port, page=page, holds_back_cause=True)
        self._keep(Spun(seed=seed, run=done.record.name))
        if lesson.told.breaks not in broken_promises(done.judged.judgement):
            self._say(f"\nnothing to be learnt from this run; again: lab lesson wheel --seed {seed}")
            return ExitCode.COULD_NOT_TELL
        for line in self._what_to_do(done, seed):
            self._say(line)
        return ExitCode.HELD

    def guess(self, asked: str) -> int:
        """Whether this is what was drawn; then its files are there to be mended."""
        spun = self._spun()
        lesson, guessed = draw(self._lessons, spun.seed), find_lesson(self._lessons, asked)
        spun = msgspec.structs.replace(spun, guesses=spun.guesses + (not spun.is_named))
        if guessed.name != lesson.name:
            self._keep(spun)
            self._say(f"✕ No, it is not {guessed.word}. What that does, your users would have told otherwise.")
            self._say(f"  look again: lab check {spun.run}      lab ui {spun.run}")
            return ExitCode.BROKEN
        self._keep(msgspec.structs.replace(spun, is_named=True))
        self._say(f"✓ Yes: {lesson.word}, named at guess {spun.guesses}. Now mend it.")
        self._reveal(spun.run)
        lay_out(lesson, self._mended)
        for path in to_edit(lesson):
            self._say(f"  edit   {short(self._mended / path)}")
        self._say("  then   lab lesson wheel --check")
        return ExitCode.HELD

    def check(self, *, port: int | None, page: PageSpec | None) -> int:
        """Run what the team has mended; passed if it is as the lesson's own check wants it."""
        spun = self._spun()
        if not spun.is_named:
            raise UsageError("name it first", at="lab lesson wheel", hint="lab lesson wheel --guess NAME")
        lesson = draw(self._lessons, spun.seed)
        done = self._run(lesson, self._mended, seed=spun.seed, port=port, page=page)
        self._say(f"\n{'✓' if done.grade.passed else '✕'} {done.grade.say}")
        if done.grade.passed:
            self._say(f"  named at guess {spun.guesses}, and mended. Another one: lab lesson wheel")
        return done.grade.exit_code

    def show_sheet(self) -> int:
        """Print what the game master knows."""
        spun = self._spun()
        for line in sheet_lines(draw(self._lessons, spun.seed), spun.seed, _recorded(spun.run)):
            self._say(line)
        return ExitCode.HELD

    def _reveal(self, run: str) -> None:
        """From now on the run's record says what was likely the cause."""
        seen = _recorded(run)
        if seen is None:
            return
        (seen.folder / HELD_BACK).unlink(missing_ok=True)
        likely = judge_run(seen).judgement.likely
        if likely:
            self._say(f"  what the record says of it: {likely}")

    @property
    def _mended(self) -> Path:
        return self._folder / MENDED

    def _run(
        self,
        lesson: Lesson,
        folder: Path,
        *,
        seed: int,
        port: int | None,
        page: PageSpec | None,
        holds_back_cause: bool = False,
    ) -> Attempt:
        """The lesson's run under a name that tells nothing."""
        needs = needs_of(lesson, read_spec(lesson, folder))
        toolbox = make_ready(find_places(), self._say, needs)
        owner = owner_of(self._mended)
        prepared = prepare(lesson, folder, toolbox, seed=seed, say=lambda _line: None, owner=owner)
        try:
            repeat = f"lab lesson wheel --seed {seed}"
            return attempt(
                lesson,
                _disguised(prepared),
                toolbox,
                say=self._say,
                port=port,
                page=page,
                repeat=repeat,
                holds_back_cause=holds_back_cause,
            )
        finally:
            drop_layers(toolbox.engine, owner, but=())

    def _what_to_do(self, done: Attempt, seed: int) -> Iterator[str]:
        titles = [one.title for one in PROMISES.values() if one.name in broken_promises(done.judged.judgement)]
        yield f"\nYour users say that this is no longer so: {'; '.join(titles)}."
        yield f"  look   lab check {done.record.name}      lab ui {done.record.name}"
        yield f"  again  lab lesson wheel --seed {seed} --ui      (while it runs: lab status -p lab-RUN, docker logs)"
        yield "  name   lab lesson wheel --guess NAME, one of these:"
        yield from (f"         {lesson.word:<20} {lesson.title}" for lesson in self._lessons)

    def _spun(self) -> Spun:
        try:
            return msgspec.json.decode((self._folder / FILE).read_bytes(), type=Spun)
        except (OSError, msgspec.DecodeError):
            raise UsageError("the wheel was not spun", at=str(self._folder), hint="lab lesson wheel") from None

    def _keep(self, spun: Spun) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / FILE).write_bytes(msgspec.json.encode(spun) + b"\n")


def _recorded(run: str) -> ReadRecord | None:
    """The record of a run, if it is still there."""
    try:
        return ReadRecord(folder_of(run))
    except (RecordError, UsageError):
        return None


def sheet_lines(lesson: Lesson, seed: int, seen: ReadRecord | None) -> Iterator[str]:
    """All that the game master needs: what it is, how it shows, what to whisper, what mends it."""
    yield f"# Game master's sheet, seed {seed}"
    yield ""
    yield f"**Drawn:** {lesson.word}, that is lesson {lesson.number}, {lesson.title}."
    yield f"**Breaks:** {lesson.told.breaks} ({PROMISES[lesson.told.breaks].title})."
    if seen is not None:
        judgement = judge_run(seen).judgement
        broken = ", ".join(sorted(broken_promises(judgement))) or "nothing"
        yield f"**In this run:** {broken} broke; run {seen.folder.name}."
        for finding in judgement.findings[:1]:
            cause = f"; {finding.cause}" if finding.cause else ""
            yield f"**First:** {finding.user or 'the run'}: {finding.why}{cause}."
    yield ""
    yield "To whisper, one every five minutes, if they are stuck:"
    yield ""
    yield from (f"{number}. {hint.strip()}" for number, hint in enumerate(lesson.told.hints, 1))
    yield ""
    yield "What mends it:"
    yield ""
    yield "```diff"
    yield from difference(lesson)
    yield "```"


def _disguised(prepared: Prepared) -> Prepared:
    scenario = msgspec.structs.replace(prepared.scenario, name="wheel", title=TITLE, about="")
    return msgspec.structs.replace(prepared, scenario=scenario)
