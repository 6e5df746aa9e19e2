"""One device's open schedule: each action is due at a drawn time, whatever became of the one before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lab.clock import NS, Clock
from lab.users.journey import Journey


class Pace:
    """Lets one journey act. The times between two due times are exponential with mean `think` seconds.

    An action whose device is still busy when it is due starts late, and its operation records when it was due.
    `late` is told how many seconds the driver itself, not the app, was behind.
    """

    __slots__ = ("_alarm", "_clock", "_is_open", "_journey", "_late", "_think")

    def __init__(self, journey: Journey, *, think: float, clock: Clock, late: Callable[[float], None]) -> None:
        self._journey, self._think, self._clock, self._late = journey, think, clock, late
        self._alarm: asyncio.Future[None] | None = None
        self._is_open = False

    async def walk(self) -> None:
        """Act until `end`; a device that isn't logged in logs in first, and again at every turn until it is."""
        journey, device = self._journey, self._journey.device
        self._is_open = True
        due = self._clock.now() + self._drawn()
        while await self._is_still_open_at(due):
            device.due = due
            if not device.is_logged_in:
                await journey.log_in()
            if device.is_logged_in:
                await journey.act()
                due += self._drawn()
            else:
                due += int(self._think * NS)  # undrawn, so that this misfortune doesn't shift the plan
            device.due = None

    def end(self) -> None:
        """Begin no further action; `walk` returns when the one under way has ended."""
        self._is_open = False
        if self._alarm is not None and not self._alarm.done():
            self._alarm.set_result(None)

    def _drawn(self) -> int:
        return int(self._journey.device.random.expovariate(1 / self._think) * NS)

    async def _is_still_open_at(self, due: int) -> bool:
        delay = (due - self._clock.now()) / NS
        if self._is_open and delay > 0:
            loop = asyncio.get_running_loop()
            self._alarm = loop.create_future()
            ring = loop.call_later(delay, _ring, self._alarm)
            try:
                await self._alarm
            finally:
                ring.cancel()
                self._alarm = None
            if self._is_open:
                self._late((self._clock.now() - due) / NS)
        return self._is_open


def _ring(alarm: asyncio.Future[None]) -> None:
    if not alarm.done():
        alarm.set_result(None)
