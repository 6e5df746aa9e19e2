"""Lets plain blocking code wait for what an event loop does, without a thread: each call runs on a stack of its own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from greenlet import getcurrent, greenlet

from lab.errors import UsageError

T = TypeVar("T")


class _Fiber(greenlet):
    """The stack of one call, and the only kind that `wait_for` may be called on."""

    __slots__ = ()


async def run_blocking(what: Callable[..., T], *args: Any) -> T:
    """Call `what`, which may wait by `wait_for` while everything else in the loop goes on.

    Raises what it raises. Where this is cancelled, what it waits for is, and it is told by CancelledError. Whatever
    else it does to wait stops the whole loop.
    """
    fiber = _Fiber(what)
    asked = fiber.switch(*args)
    while not fiber.dead:
        try:
            came = await asked
        except BaseException as exc:  # noqa: BLE001 -- it is for the waiting code to handle
            asked = fiber.throw(exc)
        else:
            asked = fiber.switch(came)
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
