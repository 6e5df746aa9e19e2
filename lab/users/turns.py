"""How much all users together send: at most so many requests a second, and nothing while they are asked to wait."""

from __future__ import annotations

import asyncio
from datetime import UTC
from email.utils import parsedate_to_datetime

from lab.clock import Clock

LONGEST = 86_400.0
"""Seconds for which nothing is sent at most, whatever an answer asks for."""


class Turns:
    """Lets requests through at no more than `rate` a second, evenly spaced, in the order in which they came.

    For one event loop; what is told of it may be read from anywhere.
    """

    __slots__ = ("_begun", "_gap", "_held_until", "_next", "held", "rate", "taken")

    def __init__(self, rate: float | None) -> None:
        """Without a `rate` they go at once, unless they are held."""
        self.rate = rate
        self._gap = 0.0 if rate is None else 1 / rate
        self._next = self._held_until = 0.0
        self.taken = 0
        """Requests that were let through."""
        self.held = 0.0
        """Seconds for which they were asked to wait; the longest, 0 if nobody asked."""

    async def take(self) -> None:
        """Return when it is one's turn."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            at = max(now, self._next)
            self._next = at + self._gap
            if at > now:
                await asyncio.sleep(at - now)
            if loop.time() >= self._held_until:  # else others were told to wait meanwhile: all of them line up anew
                self.taken += 1
                return

    def hold(self, retry_after: str, clock: Clock) -> None:
        """Somebody was told to come back later, in the words of a Retry-After header: nobody asks before that.

        Nothing is held where it says no time.
        """
        seconds = seconds_of(retry_after, clock)
        if seconds is None:
            return
        self.held = max(self.held, seconds)
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + seconds)
        self._next = max(self._next, self._held_until)


def seconds_of(retry_after: str, clock: Clock) -> float | None:
    """The seconds that a Retry-After asks for, as a number or as a date; None for what is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), LONGEST)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return min(max((date - clock.wall()).total_seconds(), 0.0), LONGEST)
