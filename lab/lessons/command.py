"""`lab lesson`: list, start, check, hint, solution, reset, next, help."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from lab.clock import SYSTEM_CLOCK, Clock
from lab.console.page import PageSpec
from lab.console.reports import short
from lab.errors import ExitCode, UsageError
from lab.lessons.attempt import Attempt, Say, attempt, needs_of, prepare
from lab.lessons.grade import broken_promises
from lab.lessons.joined import has_joined, tell_class
from lab.lessons.lesson import Lesson, files_of, find_lesson, read_lessons
from lab.lessons.progress import WorkshopProgress, read_progress, write_progress
from lab.lessons.seats import SeatWord
from lab.lessons.workplace import check_folder, lay_out, put_aside, read_spec
from lab.machine.places import find_places
from lab.machine.setup import make_ready
from lab.oracle.promises import PROMISES
from lab.oracle.telling import story

LOOK_EVERY = 0.5
"""Seconds between two looks whether a file has changed."""


class Workshop:
    """One participant's lessons, in a folder of theirs."""

    def __init__(self, folder: Path, say: Say) -> None:
        check_folder(folder)
        self._folder, self._say = folder, say
        self._lessons = read_lessons()
        self._progress = read_progress(folder)

    def show(self) -> int:
        """Print every lesson and how far it is."""
        for lesson in self._lessons:
            standing = self._progress.of(lesson.name)
            mark = "✓" if standing.passed else "→" if lesson.name == self._progress.current else " "
            checks = "check" if standing.failed == 1 else "checks"
            tried = f"   {standing.failed} {checks} failed" if standing.failed and not standing.passed else ""
            self._say(f"{mark} {lesson.number:>2}  {lesson.title}{tried}")
        if not self._progress.current:
            self._say("\n  begin: lab lesson start 1")
        return ExitCode.HELD

    def start(self, asked: str) -> int:
        """Copy a lesson's files into the participant's folder; what is there stays as it is."""
        return self._begin(find_lesson(self._lessons, asked))

    def next(self) -> int:
        """Begin the first lesson that is not passed yet."""
        todo = [lesson for lesson in self._lessons if not self._progress.of(lesson.name).passed]
        if not todo:
            self._say(f"all {len(self._lessons)} lessons are passed\n  what is left: lab lesson wheel")
            return ExitCode.HELD
        return self._begin(todo[0])

    def check(self, asked: str | None, *, seed: int | None, port: int | None, page: PageSpec | None) -> int:
        """Build, run, judge; say whether it is passed."""
        lesson = self._which(asked)
        folder = self._folder_of(lesson)
        needs = needs_of(lesson, read_spec(lesson, folder))
        toolbox = make_ready(find_places(), self._say, needs)
        prepared = prepare(lesson, folder, toolbox, seed=seed, say=self._say)
        repeat = f"lab lesson check {lesson.number} --seed {prepared.seed}"
        done = attempt(lesson, prepared, toolbox, say=self._say, port=port, page=page, repeat=repeat)
        for line in _first_story(done):
            self._say(line)
        self._note(lesson, done)
        broken = broken_promises(done.judged.judgement)
        self._tell_class(broken=tuple(name for name in PROMISES if name in broken))
        return done.grade.exit_code

    def check_again(
        self,
        asked: str | None,
        *,
        seed: int | None,
        port: int | None,
        page: PageSpec | None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> int:
        """Check now, and again whenever a file of the lesson has changed, until it is passed or Ctrl-C."""
        folder, before = self._folder_of(self._which(asked)), ""
        while True:
            now = digest_of_files(folder)
            if now == before:
                clock.sleep(LOOK_EVERY)
                continue
            before = now
            try:
                code = self.check(asked, seed=seed, port=port, page=page)
            except UsageError as exc:  # a file that can't be used yet
                code = ExitCode.USAGE
                self._say(f"✕ {exc}")
            if code == ExitCode.HELD:
                return code
            self._say(f"  waiting for a change in {short(folder)}; Ctrl-C ends it")

    def ask_help(self, *, is_done: bool) -> int:
        """Tell the trainer that this seat waits for help, or that it does no more."""
        if not has_joined(self._folder):
            raise UsageError("has joined no class", at=str(self._folder), hint="lab lesson join ADDRESS --as NAME")
        self._tell_class(needs_help=not is_done)
        self._say("the trainer sees that you wait no more" if is_done else "the trainer sees that you wait for help")
        return ExitCode.HELD

    def hint(self, asked: str | None) -> int:
        """One more hint, or all of them again once they are used up."""
        lesson = self._which(asked)
        hints, shown = lesson.told.hints, self._progress.of(lesson.name).hints
        until = min(shown + 1, len(hints))
        for number in range(1 if shown >= len(hints) else until, until + 1):
            self._say(f"hint {number} of {len(hints)}: {hints[number - 1].strip()}")
        self._save(self._progress.with_standing(lesson.name, hints=until))
        self._tell_class()
        if until == len(hints):
            self._say("  that was the last one; after a check that failed: lab lesson solution")
        return ExitCode.HELD

    def solution(self, asked: str | None, *, peek: bool) -> int:
        """What the solution changes; only after an honest failed check, or if somebody insists."""
        lesson = self._which(asked)
        standing = self._progress.of(lesson.name)
        if not (peek or standing.failed or standing.passed):
            raise UsageError(
                "the solution is shown after a check of your own that failed",
                at=f"lesson {lesson.number}",
                hint="lab lesson check; or lab lesson hint; or, if you must: lab lesson solution --peek",
            )
        for line in difference(lesson):
            self._say(line)
        self._say(f"  the files: {short(lesson.solution)}")
        return ExitCode.HELD

    def reset(self, asked: str | None) -> int:
        """Put the broken files back; the participant's are kept beside them."""
        lesson = self._which(asked)
        folder = self._folder_of(lesson)
        aside = put_aside(folder, SYSTEM_CLOCK.wall())
        if aside is not None:
            self._say(f"your files are kept in {short(aside)}")
        return self._begin(lesson)

    def _begin(self, lesson: Lesson) -> int:
        folder = self._folder_of(lesson)
        was_there = folder.exists()
        lay_out(lesson, folder)
        self._save(WorkshopProgress(current=lesson.name, lessons=self._progress.lessons))
        self._tell_class()
        self._say(f"lesson {lesson.number}: {lesson.title}")
        if was_there:
            self._say(f"  {short(folder)} is there already and stays as it is (anew: lab lesson reset)")
        self._say(f"  read   {short(folder / 'README.md')}")
        for path in to_edit(lesson):
            self._say(f"  edit   {short(folder / path)}")
        self._say("  then   lab lesson check      stuck: lab lesson hint")
        return ExitCode.HELD

    def _which(self, asked: str | None) -> Lesson:
        if asked is None and not self._progress.current:
            raise UsageError("no lesson has been begun", at=str(self._folder), hint="lab lesson start 1")
        return find_lesson(self._lessons, asked or self._progress.current)

    def _folder_of(self, lesson: Lesson) -> Path:
        return self._folder / lesson.name

    def _note(self, lesson: Lesson, done: Attempt) -> None:
        """Say how it went and what to do now, and keep it."""
        standing = self._progress.of(lesson.name)
        self._say(f"\n{'✓' if done.grade.passed else '✕'} {done.grade.say}")
        if done.grade.passed:
            self._save(self._progress.with_standing(lesson.name, passed=True))
            self._say("  on: lab lesson next")
            return
        if not done.grade.is_failure:
            return
        self._save(self._progress.with_standing(lesson.name, failed=standing.failed + 1))
        left = len(lesson.told.hints) - standing.hints
        hints = f"{left} {'hint is' if left == 1 else 'hints are'} left: lab lesson hint      " if left else ""
        self._say(f"  {hints}the whole story: lab check {done.record.name}")

    def _tell_class(self, *, broken: tuple[str, ...] = (), needs_help: bool = False) -> None:
        """How far this is, to the class that was joined, if one was. One that does not hear it stops nobody."""
        progress = self._progress
        lesson = next((one for one in self._lessons if one.name == progress.current), None)
        standing = progress.of(progress.current)

        def word(name: str) -> SeatWord:
            return SeatWord(
                name=name,
                lesson=f"{lesson.number} {lesson.title}" if lesson is not None else "",
                failed=standing.failed,
                hints=standing.hints,
                passed=sum(progress.of(one.name).passed for one in self._lessons),
                broken=broken,
                is_done=standing.passed,
                needs_help=needs_help,
            )

        why = tell_class(self._folder, word)
        if why:
            self._say(f"  the class did not hear it: {why}")

    def _save(self, progress: WorkshopProgress) -> None:
        self._progress = progress
        write_progress(self._folder, progress)


def digest_of_files(folder: Path) -> str:
    """What a folder holds, so that a change shows."""
    made = hashlib.sha256()
    for path in files_of(folder):
        made.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return made.hexdigest()


def _first_story(done: Attempt) -> Iterator[str]:
    """Who was hurt first, and how it came to that."""
    judgement = done.judged.judgement
    if judgement.findings:
        yield ""
        yield from story(judgement.findings[0], began=done.judged.began)


def to_edit(lesson: Lesson) -> Iterator[Path]:
    """The files that a participant may change, by their paths in the folder."""
    for path in files_of(lesson.broken):
        if path.suffix == ".py" or lesson.told.may_change:
            yield path.relative_to(lesson.broken)


def difference(lesson: Lesson) -> Iterator[str]:
    """The solution as a unified difference to what is broken."""
    for path in files_of(lesson.solution):
        name = path.relative_to(lesson.solution)
        before, after = (lesson.broken / name).read_text(), path.read_text()
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), f"broken/{name}", f"{name}"):
            yield line.rstrip("\n")
