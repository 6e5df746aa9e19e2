"""Lets plain blocking code wait for what an event loop does, without a thread: each call runs on a stack of its own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from greenlet import getcurrent, greenlet

from lab.clock import NS, Clock
from lab.errors import UsageError

T = TypeVar("T")


class _Fiber(greenlet):
    """The stack of one call, and the only kind that `wait_for` may be called on."""

    __slots__ = ()


class BlockingWatch:
    """Finds out whether code that shares the loop's thread waits by other means than `wait_for`: then all others wait.

    A machine that is too busy lets few of its stretches last long; such code does it again and again.
    """

    LONG = 0.1
    """Seconds that a stretch between two waits may last."""
    MOST, OF = 20, 100
    """So many long ones of so many are no accident."""

    __slots__ = ("_clock", "_long", "_seen")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen = self._long = 0

    def begin(self) -> int:
        return self._clock.now()

    def end(self, begun: int) -> None:
        """A stretch has ended. Raises UsageError where too many were long."""
        took = self._clock.now() - begun
        self._seen += 1
        self._long += took > self.LONG * NS
        if self._long >= self.MOST:
            raise UsageError(
                f"stops all users, for {took / NS:.2f} s just now: they share a thread",
                at="journey",
                hint="http.sleep(seconds) instead of time.sleep, and no other client than http",
            )
        if self._seen >= self.OF:
            self._seen = self._long = 0


async def run_blocking(what: Callable[..., T], *args: Any, watch: BlockingWatch) -> T:
    """Call `what`, which may wait by `wait_for` while everything else in the loop goes on.

    Raises what it raises, and what `watch` does. Where this is cancelled, what it waits for is, and it is told by
    CancelledError.
    """
    fiber = _Fiber(what)
    begun = watch.begin()
    asked = fiber.switch(*args)
    watch.end(begun)
    while not fiber.dead:
        try:
            came = await asked
        except BaseException as exc:  # noqa: BLE001 -- it is for the waiting code to handle
            asked = fiber.throw(exc)
        else:
            begun = watch.begin()
            asked = fiber.switch(came)
            watch.end(begun)
    return cast("T", asked)


def wait_for(what: Coroutine[Any, Any, T]) -> T:
    """Wait until the loop has done it; its result, or what it raised.

    Raises UsageError where nobody runs the caller by `run_blocking`, as in a thread of its own.
    """
    here = getcurrent()
    if not isinstance(here, _Fiber) or here.parent is None:
        what.close()
        raise UsageError(
            "is called from another thread", at="http", hint="http.together(...) does several requests at once"
        )
    return cast("T", here.parent.switch(what))
