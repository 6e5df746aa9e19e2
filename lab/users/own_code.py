"""Somebody's own code in the lab's process may raise whatever it likes; it may not end the process without a word."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NoReturn

_IS_OWN_CODE: ContextVar[bool] = ContextVar("is_own_code", default=False)
_end_the_process = os._exit


@contextmanager
def own_code() -> Iterator[None]:
    """What is run in here is somebody's own: `os._exit` raises SystemExit, as `sys.exit` does.

    No verdict could be told after it, and its 0 would pass for one. Everybody else's calls, and those of a child
    process that it forks, end the process as ever.
    """
    if os._exit is _end_the_process:
        setattr(os, "_exit", _refuse_in(os.getpid()))  # noqa: B010 -- a checker takes it for a constant
    token = _IS_OWN_CODE.set(True)
    try:
        yield
    finally:
        _IS_OWN_CODE.reset(token)


def _refuse_in(process: int) -> Callable[[int], NoReturn]:
    """An `os._exit` that ends the process but where its own code calls it."""

    def leave(status: int) -> NoReturn:
        if _IS_OWN_CODE.get() and os.getpid() == process:
            raise SystemExit(status)
        _end_the_process(status)

    return leave
