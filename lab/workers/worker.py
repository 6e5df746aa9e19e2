"""One worker: a crowd with its share of the accounts, told what to do on one stream, and telling on another.

It keeps nothing. Where nobody speaks to it any more it ends, and so do its users.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from collections import deque
from collections.abc import Callable

import msgspec

from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.collection import rare_collection
from lab.errors import LabFault
from lab.model import Operation
from lab.users.crowd import Crowd
from lab.users.wire import Door
from lab.workers.messages import (
    Began,
    Begin,
    CrowdAct,
    CrowdLook,
    Do,
    Done,
    Frames,
    Message,
    Ping,
    Pong,
    WorkerOver,
    failed,
    for_worker,
    packed,
    packed_operations,
)

TOLD_EVERY = 0.05
"""Seconds between two times that operations are sent."""
COUNTED_EACH = 5
"""Users are counted each so many times: thousands are not counted as quickly as sent."""
SETTLED = NS // 50
"""Nanoseconds from an operation's end until it surely waits to be sent."""
MOST_WAITING = 500_000
"""Operations that wait to be sent: with more, somebody takes them too slowly."""
SILENT_FOR = 30.0
"""Seconds without a word from the conductor after which it is gone."""
READ_AT_ONCE = 1 << 16
ALONE = 3
"""The exit code of a worker to which nobody speaks any more."""


class Worker:
    """Serves one conductor to its end. `read` gives b"" at the end of what it says; `write` takes all that it is given,
    or raises OSError where nobody hears it any more."""

    def __init__(self, read: Callable[[], bytes], write: Callable[[bytes], None], clock: Clock = SYSTEM_CLOCK) -> None:
        self._read, self._write, self._clock = read, write, clock
        self._speaking, self._listing = threading.Lock(), threading.Lock()
        self._crowd: Crowd | None = None
        self._waiting: deque[Operation | Message] = deque()
        """What is to be sent, in this order."""
        self._sent = self._flushes = 0
        self._counts = CrowdLook(now=0)
        self._has_failed = self._has_stopped = False
        self._is_over = threading.Event()
        self._heard_at = clock.now()

    def serve(self) -> int:
        """Do what is told until STOP was done; the exit code."""
        threading.Thread(target=self._tell, name="telling", daemon=True).start()
        threading.Thread(target=self._look_after, name="looking after", daemon=True).start()
        threading.Thread(target=self._listen, name="listening", daemon=True).start()
        self._is_over.wait()
        if self._crowd is not None:
            self._crowd.stop()  # where it was not told to: nobody is there any more
        return 0 if self._has_stopped else ALONE

    def _listen(self) -> None:
        frames = Frames()
        try:
            while chunk := self._read():
                for sort, content in frames.take(chunk):
                    self._hear(for_worker(sort, content))
        finally:
            self._is_over.set()

    def _hear(self, said: Message) -> None:
        self._heard_at = self._clock.now()
        if isinstance(said, Ping):
            self._send(packed(Pong(number=said.number, now=self._heard_at)))
        elif isinstance(said, Begin):
            self._begin(said)
        elif isinstance(said, Do):
            threading.Thread(target=self._do, args=(said,), name=said.act, daemon=True).start()

    def _begin(self, begin: Begin) -> None:
        try:
            crowd = Crowd(
                [Door(host=host, port=port) for host, port in begin.doors],
                begin.size,
                chance=random.Random(begin.seed),
                on_operation=self._later,
                policy=begin.tries,
                clock=self._clock,
            )
            crowd.start()
        except Exception as exc:  # noqa: BLE001 -- it is the conductor's to raise
            self._later(failed(exc))
            return
        self._crowd = crowd
        self._later(Began(users=len(crowd.users), devices=len(crowd.devices)))

    def _do(self, do: Do) -> None:
        """One command, in a thread of its own: clocks are asked meanwhile."""
        crowd = self._crowd
        try:
            if crowd is None:
                raise LabFault("there are no users yet", at=do.act)  # noqa: TRY301 -- told like any other
            if do.act is CrowdAct.STOP:
                self._stop(crowd)
                return
            said: str | None = ""
            match do.act:
                case CrowdAct.LOG_IN:
                    crowd.log_in(do.value)
                case CrowdAct.SHOP:
                    crowd.shop()
                case CrowdAct.HURRY:
                    crowd.hurry(do.value)
                case CrowdAct.SETTLE:
                    crowd.settle(do.value)
                case CrowdAct.READ_BACK:
                    said = crowd.read_back(do.value)
        except Exception as exc:  # noqa: BLE001 -- likewise
            self._later(failed(exc, do.number))
        else:
            self._later(Done(number=do.number, text=said or ""))

    def _stop(self, crowd: Crowd) -> None:
        stuck = crowd.stop()
        with self._listing:
            self._flush(self._clock.now())
            self._send(packed(WorkerOver(operations=self._sent, stuck=stuck)))
        self._has_stopped = True
        self._is_over.set()

    # what is told

    def _later(self, what: Operation | Message) -> None:
        """Tell it in its turn. Called in the crowd's thread for each operation, so it is quick."""
        self._waiting.append(what)

    def _tell(self) -> None:
        while not self._is_over.wait(TOLD_EVERY):
            now = self._clock.now()
            with self._listing:
                if not self._has_stopped:
                    self._flush(now)

    def _flush(self, now: int) -> None:
        """Send all that waits, then that all was sent which ended until then."""
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if len(waiting) > MOST_WAITING and not self._has_failed:
            self._has_failed = True
            waiting.append(failed(LabFault(f"{len(waiting)} operations wait to be taken from it", at="users")))
        operations: list[Operation] = []
        for one in waiting:
            if isinstance(one, Operation):
                operations.append(one)
            else:
                self._send_operations(operations)
                operations = []
                self._send(packed(one))
        self._send_operations(operations)
        self._send(packed(self._counted(now - SETTLED)))

    def _counted(self, until: int) -> CrowdLook:
        crowd, is_due = self._crowd, self._flushes % COUNTED_EACH == 0
        self._flushes += 1
        if crowd is not None and is_due:
            self._check(crowd)
            seen = crowd.counts()
            self._counts = CrowdLook(
                now=until, logged_in=seen.logged_in, in_flight=seen.in_flight, worst_lag=seen.worst_lag
            )
        return msgspec.structs.replace(self._counts, now=until)

    def _check(self, crowd: Crowd) -> None:
        try:
            crowd.check()
        except BaseException as exc:  # noqa: BLE001 -- whatever ended its users is the conductor's to raise
            if not self._has_failed:
                self._has_failed = True
                told = exc if isinstance(exc, Exception) else LabFault(f"its users ended: {type(exc).__name__}")
                self._send(packed(failed(told)))

    def _send_operations(self, operations: list[Operation]) -> None:
        if operations:
            self._send(packed_operations(operations))
            self._sent += len(operations)

    def _send(self, frame: bytes) -> None:
        try:
            with self._speaking:
                self._write(frame)
        except OSError:
            self._is_over.set()

    def _look_after(self) -> None:
        while not self._is_over.wait(1.0):
            if self._clock.now() - self._heard_at > SILENT_FOR * NS:
                self._is_over.set()


def main(clock: Clock = SYSTEM_CLOCK, kind: type[Worker] = Worker) -> int:
    """Serve whoever is at this process's standard input and output; the exit code."""
    with rare_collection():
        code = kind(lambda: os.read(0, READ_AT_ONCE), _write_out, clock).serve()
    sys.stderr.flush()
    return code


def _write_out(data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(1, left) :]
