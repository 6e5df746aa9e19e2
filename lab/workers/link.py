"""One worker as its conductor sees it: what it was told, what it said, and whether it is still there."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any

from lab.clock import NS, Clock
from lab.errors import LabError, LabFault, WaitTimeout
from lab.model import Operation
from lab.workers.clocks import ClockOffset
from lab.workers.line import Line
from lab.workers.merge import CrowdMerge
from lab.workers.messages import (
    Began,
    Begin,
    CrowdAct,
    CrowdLook,
    Do,
    Done,
    Failed,
    Frames,
    FromWorker,
    Message,
    Ping,
    Pong,
    WorkerOver,
    from_worker,
    packed,
)

SILENT_FOR = 20.0
"""Seconds without a word from a worker after which it is taken for lost."""
ASKED_FIRST = 20
"""So many times a clock is asked before anything is done: the quickest answer says the most."""
ANSWERS_WITHIN = 5.0
"""Seconds for each of these."""


class Link:
    """To one worker. May be used from several threads; what goes wrong first is kept, and all who wait get it."""

    def __init__(self, line: Line, number: int, merge: CrowdMerge, clock: Clock) -> None:
        self._line, self._merge, self._clock = line, merge, clock
        self.number = number
        self.clocks = ClockOffset()
        self.counted = CrowdLook(now=0)
        """What it said last of its users."""
        self.received = 0
        """Operations that came from it."""
        self.heard_until = 0
        """Until when, by this process's clock, all is here that ended there."""
        self.lost = ""
        """Why it is not all here that its users did; "" where it is."""
        self._error: LabError | None = None
        self._lock, self._speaking = threading.Lock(), threading.Lock()
        self._asked: dict[int, int] = {}
        self._answered = threading.Event()
        self._waits: dict[int, Future[str]] = {}
        self._began: Future[Began] = Future()
        self._ended: Future[WorkerOver] = Future()
        self._heard_at = clock.now()
        self._thread = threading.Thread(target=self._listen, name=f"worker {number + 1}", daemon=True)

    @property
    def place(self) -> str:
        return self._line.where

    @property
    def where(self) -> str:
        return f"worker {self.number + 1} ({self._line.where})"

    def begin(self, begin: Begin, within: float) -> Began:
        """Measure its clock, then let it have its users ready. Raises LabError where it can't."""
        self._thread.start()
        for _ in range(ASKED_FIRST):
            self._answered.clear()
            self.ask_clock()
            if not self._answered.wait(ANSWERS_WITHIN):
                self.check()
                raise WaitTimeout(f"it did not say within {ANSWERS_WITHIN:g} s what its clock is", at=self.where)
        self.clocks.fix()
        self._send(begin)
        try:
            return self._began.result(within)
        except TimeoutError as exc:
            raise WaitTimeout(f"its users were not ready after {within:g} s", at=self.where) from exc

    def ask_clock(self) -> None:
        """Ask it for its time; and see whether it still speaks."""
        now = self._clock.now()
        if now - self._heard_at > SILENT_FOR * NS:
            self._lose(f"nothing was heard of it for {SILENT_FOR:g} s")
            return
        with self._lock:
            number = len(self._asked)
            self._asked[number] = self._clock.now()
        self._send(Ping(number=number))

    def tell(self, do: Do) -> Future[str]:
        """Let it do something; when it is done, the future has what it said of it."""
        waited: Future[str] = Future()
        with self._lock:
            if self._error is not None:
                waited.set_exception(self._error)
                return waited
            self._waits[do.number] = waited
        self._send(do)
        return waited

    def check(self) -> None:
        """Raise what went wrong."""
        if self._error is not None:
            raise self._error

    def stop(self, within: float) -> str:
        """Let its users end and all they did arrive, then let go of it. Raises nothing; says where somebody hangs."""
        stuck = ""
        if self._thread.is_alive() and self._error is None:
            self._send(Do(number=-1, act=CrowdAct.STOP))
            try:
                ended = self._ended.result(within)
            except TimeoutError:
                self._lose(f"its users did not end within {within:g} s")
            except LabError:
                pass  # it is kept
            else:
                stuck = ended.stuck
                if ended.operations != self.received:
                    self._lose(f"it sent {ended.operations} operations, and {self.received} arrived")
        self._line.close()
        if self._thread.ident is not None:
            self._thread.join(within)
        self._merge.passed(self.number, None)
        return stuck

    def _send(self, message: Message) -> None:
        try:
            with self._speaking:
                self._line.send(packed(message))
        except OSError as exc:
            self._lose(f"it takes nothing any more: {exc.strerror or exc}")

    # in the thread that listens

    def _listen(self) -> None:
        frames = Frames()
        try:
            while chunk := self._line.receive():
                self._heard_at = self._clock.now()
                for sort, content in frames.take(chunk):
                    self._hear(from_worker(sort, content))
        except LabFault as exc:
            self._lose(exc.what)
        except Exception as exc:  # noqa: BLE001 -- of whoever takes the operations: the run's to raise
            self._lose(f"internal error: {type(exc).__name__}: {exc}")
        if not self._ended.done():
            torn = "" if frames.is_between else ", in the middle of a word"
            said = self._line.last_words()
            self._lose(f"it ended before its users did{torn}{f': {said}' if said else ''}")

    def _hear(self, said: FromWorker | Sequence[Operation]) -> None:
        match said:
            case Pong():
                self._note_clock(said)
            case CrowdLook():
                self.counted = said
                self.heard_until = said.now + self.clocks.offset
                self._merge.passed(self.number, self.heard_until)
            case Began():
                self._began.set_result(said)
            case Done():
                self._waited(said.number).set_result(said.text)
            case Failed():
                self._note_failure(said)
            case WorkerOver():
                self._ended.set_result(said)
            case _:
                self._take(said)

    def _take(self, operations: Sequence[Operation]) -> None:
        """What its users did: numbered by itself from 0, so that nothing is missing in between."""
        for expected, one in enumerate(operations, self.received):
            if one.id != expected:
                raise LabFault(f"its operation {expected} is missing: the next one is {one.id}")
        self.received += len(operations)
        self._merge.take(operations, self.clocks.offset)

    def _note_clock(self, pong: Pong) -> None:
        with self._lock:
            asked = self._asked.get(pong.number)
        if asked is not None:
            self.clocks.note(asked, pong.now, self._clock.now())
        self._answered.set()

    def _note_failure(self, failed: Failed) -> None:
        error = failed.error
        if failed.number is not None:
            self._waited(failed.number).set_exception(error)
        else:
            self._lose(f"something went wrong inside it: {error.what}")

    def _waited(self, number: int) -> Future[str]:
        with self._lock:
            return self._waits.pop(number, Future())

    def _lose(self, why: str) -> None:
        """It is not all here, and won't be."""
        self.lost = self.lost or why
        self._keep(LabFault(f"is lost: {why}", at=self.where, hint="what its users did is not all in the record"))
        self._merge.passed(self.number, None)

    def _keep(self, error: LabError) -> None:
        with self._lock:
            if self._error is None:
                self._error = error
            waits, self._waits = list(self._waits.values()), {}
        futures: list[Future[Any]] = [self._began, self._ended, *waits]
        for one in futures:
            with suppress(InvalidStateError):  # it was told just now
                one.set_exception(error)
