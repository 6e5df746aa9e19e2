"""Lets plain blocking code wait for what an event loop does, without a thread: each call runs on a stack of its own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from greenlet import GreenletExit, getcurrent, greenlet

from lab.clock import NS, Clock
from lab.errors import JourneyMistake, UsageError
from lab.users.own_code import own_code

T = TypeVar("T")


class _Fiber(greenlet):
    """The stack of one call after another, and the only kind that `wait_for` may be called on.

    Switched to with a call when it is idle, it switches back with a coroutine that the call waits for, or with None
    when the call is over; it is idle again then, and `came` or `failed` says what came of it.
    """

    __slots__ = ("came", "failed")

    def __init__(self) -> None:
        super().__init__()
        self.came: Any = None
        self.failed: BaseException | None = None

    def run(self, what: Callable[..., Any] | None, args: tuple[Any, ...]) -> None:
        with own_code():  # by the fiber's own context: the loop, which it switches to, is not in there
            self._take_calls(what, args)

    def _take_calls(self, what: Callable[..., Any] | None, args: tuple[Any, ...]) -> None:
        loop = self.parent
        while what is not None and loop is not None:
            try:
                self.came = what(*args)
            except GreenletExit:  # nobody wants it any more
                raise
            except BaseException as exc:  # noqa: BLE001 -- whoever called it raises it
                self.failed = exc
            what, args = None, ()  # a fiber that is idle keeps nothing
            what, args = loop.switch(None)


class Fibers:
    """Runs blocking code for one event loop, and keeps the stacks: to make one takes as long as sending a request.

    It finds out, too, whether such code waits by other means than `wait_for`: then all others wait. A machine that is
    too busy lets few of its stretches last long; such code does it again and again.
    """

    LONG = 0.1
    """Seconds that a stretch between two waits may last."""
    MOST, OF = 20, 100
    """So many long ones of so many are no accident."""
    KEPT = 256
    """So many idle stacks are kept, of 16 KiB each or more."""

    __slots__ = ("_clock", "_idle", "_long", "_seen")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen = self._long = 0
        self._idle: list[_Fiber] = []

    async def run(self, what: Callable[..., T], *args: Any) -> T:
        """Call `what`, which may wait by `wait_for` while everything else in the loop goes on.

        Raises what it raises, and JourneyMistake where too many stretches of such code were long. Where this is
        cancelled, what it waits for is, and it is told by CancelledError.
        """
        idle, now = self._idle, self._clock.now
        fiber = idle.pop() if idle else _Fiber()
        begun = now()
        asked = fiber.switch(what, args)
        self._note(now() - begun)
        while asked is not None:
            try:
                came = await asked
            except BaseException as exc:  # noqa: BLE001 -- it is for the waiting code to handle
                begun = now()
                asked = fiber.throw(exc)
            else:
                begun = now()
                asked = fiber.switch(came)
            self._note(now() - begun)
        made, failed = fiber.came, fiber.failed
        fiber.came = fiber.failed = None
        if len(idle) < self.KEPT:
            idle.append(fiber)
        if failed is not None:
            raise failed
        return cast("T", made)

    def _note(self, took: int) -> None:
        """A stretch has ended. Raises JourneyMistake where too many were long."""
        self._seen += 1
        if took > self.LONG * NS:
            self._long += 1
            if self._long >= self.MOST:
                raise JourneyMistake(
                    f"stops all users, for {took / NS:.2f} s just now: they share a thread",
                    at="journey",
                    hint="http.sleep(seconds) instead of time.sleep, and no other client than http",
                )
        if self._seen >= self.OF:
            self._seen = self._long = 0


def wait_for(what: Coroutine[Any, Any, T]) -> T:
    """Wait until the loop has done it; its result, or what it raised.

    Raises UsageError where nobody runs the caller by `Fibers.run`, as in a thread of its own.
    """
    here = getcurrent()
    if not isinstance(here, _Fiber) or here.parent is None:
        what.close()
        raise UsageError(
            "is called from another thread", at="http", hint="http.together(...) does several requests at once"
        )
    return cast("T", here.parent.switch(what))
