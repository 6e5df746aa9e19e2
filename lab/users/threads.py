"""Threads for somebody's own code, which may never return: the process ends all the same, and says whose it was."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, TypeVar

from lab.clock import NS, SYSTEM_CLOCK

P = ParamSpec("P")
T = TypeVar("T")

END_WITHIN = 3.0
"""Seconds that calls under way may take when nobody wants their results any more."""


class _Call(NamedTuple):
    result: Future[Any]
    what: Callable[[], Any]
    whose: str


class UserThreads(Executor):
    """At most so many threads, made as they are needed. None of them keeps the process from ending.

    `stuck` takes a sentence, when the block ends, that names a call which did not, and where in its code it is; an
    exception that ended the block carries it as a note.
    """

    def __init__(self, most: int, *, stuck: Callable[[str], None] = lambda _: None) -> None:
        self._most, self._stuck = most, stuck
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._busy: dict[int, str] = {}
        self._is_over = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call it in one of the threads. Raises RuntimeError once the block has ended."""
        result: Future[T] = Future()
        with self._lock:
            if self._is_over:
                raise RuntimeError("the users' threads have ended")
            self._calls.put(_Call(result, lambda: fn(*args, **kwargs), _whose(fn)))
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._most:
                thread = threading.Thread(target=self._work, name=f"user-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        return result

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._is_over = True
        for _ in self._threads:
            self._calls.put(None)
        until = SYSTEM_CLOCK.now() + int(END_WITHIN * NS)
        for thread in self._threads:
            thread.join(max(0.0, (until - SYSTEM_CLOCK.now()) / NS))
        stuck = [self._busy[one.ident] + _where(one.ident) for one in self._threads if one.ident in self._busy]
        if stuck:
            what = f"{stuck[0]} did not return" + (f", nor did {len(stuck) - 1} more" if stuck[1:] else "")
            if value is not None:
                value.add_note(what)
            self._stuck(what)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if call.result.set_running_or_notify_cancel():
                self._busy[threading.get_ident()] = call.whose
                try:
                    call.result.set_result(call.what())
                except BaseException as exc:  # noqa: BLE001 -- raised where the result is wanted
                    call.result.set_exception(exc)
                finally:
                    del self._busy[threading.get_ident()]
            self._idle.release()


def _whose(what: Callable[..., Any]) -> str:
    """A journey's method by its class and its user."""
    user = getattr(getattr(what, "__self__", None), "name", "")
    return getattr(what, "__qualname__", repr(what)) + (f" of {user}" if user else "")


def _where(thread: int | None) -> str:
    """In which line a thread is now."""
    frame = None if thread is None else sys._current_frames().get(thread)
    return "" if frame is None else f" ({frame.f_code.co_filename}:{frame.f_lineno})"
