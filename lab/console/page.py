"""A run's live page: while it goes on, and of a recorded run as often as one likes."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lab.clock import SYSTEM_CLOCK
from lab.console.page_acts import ACTS, PageActs
from lab.console.reports import folder_of
from lab.errors import ExitCode, RecordError, printable
from lab.machine.places import find_places
from lab.model import Value
from lab.record import ReadRecord
from lab.report.document import ended
from lab.report.events import Ended
from lab.report.fold import PageFold
from lab.report.html import PageConfig, PageControl, live_page
from lab.report.requests import RequestFinder
from lab.report.sentences import tell_event
from lab.run.judge import JudgedRun, judge_run, plan_of, run_seconds
from lab.web import Feed, Follower, PageServer
from lab.web.follow import Ending

Say = Callable[[str], None]
TOLD_WITHIN = 3.0
"""Seconds that the end of a run waits for its pages to have seen it."""
LEFT_ALONE = 20.0
"""Seconds without a new line after which a record without a verdict is taken to be a killed lab's."""


class PageSpec(Value):
    """That a run has a page, where, and whether it may be acted on from there."""

    port: int | None = None
    control: bool = False


class NoPage:
    """A run without a page."""

    hands: PageActs | None = None

    def tell(self, judged: JudgedRun, closing: tuple[str, ...]) -> None:
        """Nobody looks."""


class RunPage(NoPage):
    """The page of a run that goes on."""

    def __init__(self, folder: Path, server: PageServer, hands: PageActs | None, say: Say) -> None:
        self.hands, self._server = hands, server
        self._ending: Ending | None = None
        self.follower = Follower(folder, partial(_fold_of, folder), lambda: self._ending, server.feed, say=say)

    def tell(self, judged: JudgedRun, closing: tuple[str, ...]) -> None:
        """Show the verdict, and give the pages that look a moment to get it; a slow one does not hold up the run."""
        self._ending = partial(_ended, judged, closing)
        if self.follower.wait(TOLD_WITHIN):
            self._server.wait_sent(TOLD_WITHIN)


@contextmanager
def watched(
    folder: Path, title: str, images: Sequence[str], spec: PageSpec | None, say: Say
) -> Iterator[RunPage | NoPage]:
    """Serve the page of the run that is recorded in `folder` while the block lasts; nothing where none is asked for."""
    if spec is None:
        yield NoPage()
        return
    hands, token = PageActs(images) if spec.control else None, secrets.token_urlsafe(24)
    control = PageControl(token=token, acts=tuple(ACTS), images=hands.images) if hands is not None else None
    page = live_page(title, PageConfig(control=control))
    with PageServer(
        page, Feed(), controls=hands, requests=RequestFinder(folder).answer, token=token, port=spec.port
    ) as server:
        shown = RunPage(folder, server, hands, say)
        say(f"  page {server.url}")
        with shown.follower:
            yield shown


def show_run(named: str | None, *, port: int | None, say: Say) -> int:
    """Serve the page of a run, recorded or going on, until Ctrl-C."""
    folder = _find_run(named)
    title = plan_of(ReadRecord(folder)).title
    feed, recorded = Feed(), _Recorded(folder)
    follower = Follower(folder, recorded.fold, recorded.ending, feed, say=say)
    page, finder = live_page(title, PageConfig()), RequestFinder(folder)
    with PageServer(page, feed, requests=finder.answer, port=port) as server, follower:
        say(f"{printable(title, keep='')}\n  run {folder.name}\n  page {server.url}     Ctrl-C ends it")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            say("")
    return ExitCode.HELD


@contextmanager
def serve_record(folder: Path, title: str, *, port: int | None, say: Say) -> Iterator[str]:
    """Serve the page of a record that is being written while the block lasts, and that nobody judges; its address."""
    feed, finder = Feed(), RequestFinder(folder)
    follower = Follower(folder, partial(_fold_of, folder), lambda: None, feed, say=say)
    with PageServer(live_page(title, PageConfig()), feed, requests=finder.answer, port=port) as server, follower:
        yield server.url


class _Recorded:
    """Waits for the verdict of a run that somebody else conducts; a killed lab's record is judged as it is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fold(self) -> PageFold | None:
        """The page of a run that is over waits for nothing that its record lacks."""
        return _fold_of(self._folder, is_whole=self._is_over())

    def ending(self) -> Ending | None:
        if not self._is_over():
            return None
        seen = ReadRecord(self._folder)
        judged = judge_run(seen)
        closing = judged.closing(seconds=run_seconds(seen), report="", repeat=plan_of(seen).repeat)
        return partial(_ended, judged, closing)

    def _is_over(self) -> bool:
        return (self._folder / "verdict.json").exists() or self._is_left_alone()

    def _is_left_alone(self) -> bool:
        written = max((one.stat().st_mtime for one in self._folder.glob("*.jsonl")), default=0.0)
        return SYSTEM_CLOCK.wall().timestamp() - written > LEFT_ALONE


def _ended(judged: JudgedRun, closing: tuple[str, ...], t: float) -> Ended:
    return ended(judged.judgement, closing, t)


def _fold_of(folder: Path, *, is_whole: bool = False) -> PageFold | None:
    """The fold for a record; None where it may just have been begun, and does not say yet what is run."""
    if not is_whole and not (folder / "environment.json").exists():
        return None
    return PageFold(plan_of(ReadRecord(folder)), tell=tell_event)


def _told_at(folder: Path) -> float:
    """When a run wrote down what it is: as it begins, and a test's again as it ends. Seconds since the epoch."""
    return (folder / "scenario.json").stat().st_mtime


def _find_run(named: str | None) -> Path:
    if named is not None:
        return folder_of(named)
    runs = find_places().runs
    begun = [one for one in runs.iterdir() if (one / "scenario.json").exists()] if runs.is_dir() else []
    if not begun:
        raise RecordError("there is no run yet", at=str(runs), hint="lab run demo --ui")
    return max(begun, key=_told_at)  # a test's run has no time in its name
