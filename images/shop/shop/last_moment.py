"""When an app that is to be stopped gets its signal: while a request is in it, if one comes, and nothing waits for it.

What the app has not read yet it could not answer after its signal, however well it stops, so none of that may be there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

LOOK = 0.002
"""Seconds between two looks."""
STAYS_FOR = 0.005
"""Seconds that a request must have been in the app: the signal takes an engine some 10 ms more, and what the app
answers sooner would be over by then."""
FRESH, IS_LONG = 0.01, 0.3
"""Seconds by which it may have been longer there, or it may be over soon; but of one that has taken so long already
nobody knows when it is."""
WAITS_FOR, LONGEST = 0.8, 2.0
"""Seconds for which such a request is waited for, and within which the app is told whatever there is."""


class LastMoment:
    """What an app has of the requests that were passed to it."""

    def __init__(
        self,
        has_unread: Callable[[], bool],
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`has_unread`: whether the kernel has something for the app that it has not taken in."""
        self._has_unread, self._now, self._sleep = has_unread, now, sleep
        self._on_its_way = 0
        self._sent: dict[object, float] = {}
        """By request, since when all of it is with the app."""
        self.is_over = False
        """Whether the app is told to stop, so that nobody is to be sent to it again."""

    @contextmanager
    def request(self) -> Iterator[Callable[[], None]]:
        """One request, until it is answered; what it gives is to be called once all of it is sent."""
        this = object()
        self._on_its_way += 1

        def note_sent() -> None:
            self._on_its_way -= 1
            self._sent[this] = self._now()

        try:
            yield note_sent
        finally:
            if self._sent.pop(this, None) is None:
                self._on_its_way -= 1

    async def wait(self, stop_taking: Callable[[], None]) -> None:
        """Return when the app is to be told; nobody is taken in any more from then on, or from WAITS_FOR on."""
        began = self._now()
        while True:
            waited = self._now() - began
            is_late = waited >= WAITS_FOR
            if is_late and not self.is_over:
                self.is_over = True
                stop_taking()
            if waited >= LONGEST or self._is_now(whoever=is_late):
                break
            await self._sleep(LOOK)
        if not self.is_over:
            self.is_over = True
            stop_taking()

    def _is_now(self, *, whoever: bool) -> bool:
        now = self._now()
        is_in_it = any(_stays(now - since) for since in self._sent.values())
        return (is_in_it or whoever) and not self._on_its_way and not self._has_unread()


def _stays(age: float) -> bool:
    """Whether a request of this age will be in the app still when the signal comes, as far as anybody can know."""
    return STAYS_FOR <= age <= STAYS_FOR + FRESH or age >= IS_LONG
