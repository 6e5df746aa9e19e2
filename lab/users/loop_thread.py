"""An event loop in a thread of its own that other threads can command, and that always ends."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from lab.clock import NS, SYSTEM_CLOCK
from lab.errors import LabFault

T = TypeVar("T")

LOOK = 0.5
"""Every so many seconds somebody who waits for the thread looks whether it still lives."""

END_WITHIN = 10.0
"""Seconds for whatever is called in the loop to return."""

LEAST_LOOKS = 20
"""So often the thread must have been found at the same call: when the whole process stood still nobody looked."""


class LoopThread:
    """Runs an event loop from `start` to `stop`; the first failure in it is kept and raised to every caller.

    `began` is called in the loop when it has started, `leaving` is awaited at its end, when all tasks have been
    cancelled and have ended.
    """

    def __init__(
        self,
        name: str,
        loop_factory: Callable[[], asyncio.AbstractEventLoop],
        *,
        began: Callable[[], None],
        leaving: Callable[[], Awaitable[None]],
    ) -> None:
        self._name, self._loop_factory = name, loop_factory
        self._began, self._leaving = began, leaving
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready, self._leave = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._is_back = threading.Event()
        """Whether the loop came by since it was last asked to."""
        self._is_back.set()
        self._asked_at, self._looks = 0, 0

    def start(self) -> None:
        """Return when the loop runs. May be called once."""
        self._thread.start()
        self._ready.wait()
        self.check()

    def stop(self) -> str:
        """Cancel all that runs in the loop and end the thread; calling it again does nothing. Raises nothing.

        Says which line the thread is still at where it does not end in END_WITHIN seconds, as somebody's own code that
        never returns; "" otherwise. Such a thread keeps no process from ending.
        """
        if self._loop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop closed just now: the thread is about to end
                self._loop.call_soon_threadsafe(self._leave.set)
            self._thread.join(END_WITHIN)
            if self._thread.is_alive():
                return f"{line_of(self._thread)} did not return"
        return ""

    def stuck(self) -> str:
        """Which line the thread is at where nothing else in its loop had a turn for END_WITHIN seconds; "" otherwise.

        To be asked again and again, by one thread.
        """
        if self._loop is None or not self._thread.is_alive():
            return ""
        now = SYSTEM_CLOCK.now()
        if self._is_back.is_set():
            self._is_back.clear()
            self._asked_at, self._looks = now, 0
            with contextlib.suppress(RuntimeError):  # the loop closed just now
                self._loop.call_soon_threadsafe(self._is_back.set)
            return ""
        self._looks += 1
        if self._looks < LEAST_LOOKS or now - self._asked_at < END_WITHIN * NS:
            return ""
        return f"{line_of(self._thread)} did not return"

    def check(self) -> None:
        """Raise what went wrong in the loop, if something did."""
        if self._failure is not None:
            raise self._failure

    def command(self, what: Coroutine[Any, Any, T]) -> T:
        """Run `what` in the loop and return or raise what it does. Not to be called from the loop's own thread.

        Raises LabFault if the thread isn't running, or is stopped meanwhile.
        """
        try:
            self.check()
            result = asyncio.run_coroutine_threadsafe(what, self._running_loop())
        except BaseException:
            what.close()
            raise
        while not result.done() and self._thread.is_alive():
            concurrent.futures.wait([result], timeout=LOOK)
        if not result.done() or result.cancelled():
            self.check()
            raise LabFault(f"the {self._name} was stopped meanwhile", at=self._name)
        answer = result.result()
        self.check()
        return answer

    def go(self, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let `what` run beside everything else; what it raises is the thread's failure. In the loop only."""
        task = asyncio.create_task(what)
        task.add_done_callback(self._note)
        return task

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or not self._thread.is_alive():
            raise LabFault(f"the {self._name} isn't running", at=self._name)
        return self._loop

    def _live(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self._loop_factory) as runner:
                runner.run(self._until_left())
        except BaseException as exc:  # noqa: BLE001 -- the thread that commands this one raises it
            self._fail(exc)
        finally:
            self._ready.set()

    async def _until_left(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began()
        self._ready.set()
        try:
            await self._leave.wait()
        finally:
            await cancel(task for task in asyncio.all_tasks() if task is not asyncio.current_task())
            await self._leaving()

    def _note(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._fail(failure)

    def _fail(self, failure: BaseException) -> None:
        if self._failure is None:
            self._failure = failure


async def each(
    those: Iterable[T],
    do: Callable[[T], Awaitable[None]],
    *,
    at_once: int,
    within: float,
) -> bool:
    """Do something for each, a few at once; whether all was done `within` seconds (what wasn't is cancelled).

    Raises the first exception that one of them raises.
    """
    waiting = iter(those)

    async def work() -> None:
        for one in waiting:
            await do(one)

    workers = {asyncio.create_task(work()) for _ in range(at_once)}
    try:
        done, late = await asyncio.wait(workers, timeout=within, return_when=asyncio.FIRST_EXCEPTION)
        for worker in done:
            worker.result()
        return not late
    finally:
        await cancel(workers)


async def cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel the tasks and wait until all have ended."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


def line_of(thread: threading.Thread) -> str:
    """The line that a thread is at."""
    frame = sys._current_frames().get(thread.ident or 0)
    return thread.name if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
