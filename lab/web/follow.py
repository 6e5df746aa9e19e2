"""Reads a record that is being written, and turns it into a feed of page events."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.errors import LabError
from lab.record import FollowedRecord
from lab.report.events import Ended, Said
from lab.report.fold import PageFold
from lab.report.merge import Merge
from lab.web.feed import Feed

LOOK_EVERY = 0.2
COMPLETE_AFTER = 0.6
"""Seconds after which all that happened is taken to be in the record: an operation waits for its batch."""

Ending = Callable[[float], Ended]


class Follower:
    """A thread that follows one record until it is judged.

    `ending` gives None until the verdict is there, then what tells it; only what is in the record is shown before.
    `say` is told, beside the page, why it shows no more; it is called from the thread.
    """

    def __init__(
        self,
        folder: Path,
        make_fold: Callable[[], PageFold | None],
        ending: Callable[[], Ending | None],
        feed: Feed,
        *,
        say: Callable[[str], None] = lambda _: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._record, self._make_fold, self._ending, self._feed = FollowedRecord(folder), make_fold, ending, feed
        self._say, self._clock = say, clock
        self._fold: PageFold | None = None
        self._merge = Merge()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._feed.end()

    def wait(self, seconds: float) -> bool:
        """Wait until all has been told; False where that was not so in time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.wait(LOOK_EVERY):
                if self._look():
                    break
        except LabError as exc:
            why = f"the page stopped: {exc}"
            self._feed.add([Said(t=0.0, text=why, tone="bad")])
            self._say(why)
        finally:
            self._feed.end()

    def _look(self) -> bool:
        """Take in what is new; True once the verdict has been told."""
        if self._fold is None:
            self._fold = self._make_fold()
            if self._fold is None:
                return False
        ending = self._ending()  # asked before the record is read: what is judged is written
        until = self._clock.now() - int(COMPLETE_AFTER * NS)
        self._merge.add(self._record.events())
        self._merge.add(self._record.operations())
        for item in self._merge.take(until if ending is None else None):
            self._feed.add(self._fold.take(item))
        if ending is None:
            self._feed.add(self._fold.until(until))
            return False
        self._feed.add(self._fold.finish(ending))
        return True
