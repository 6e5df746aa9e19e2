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

    __slots__ = ("_alarm", "_clock", "_is_open", "_journey", "_late", "think")

    def __init__(self, journey: Journey, *, think: float, clock: Clock, late: Callable[[float], None]) -> None:
        self._journey, self._clock, self._late = journey, clock, late
        self.think = think
        """May be changed at any time; holds from the next draw on."""
        self._alarm: asyncio.Future[bool] | None = None
        self._is_open = False

    async def walk(self) -> None:
        """Act until `end`; a device that isn't logged in logs in first, and again at every turn until it is."""
        journey, device = self._journey, self._journey.device
        self._is_open = True
        due = self._clock.now() + self._drawn()
        while self._is_open:
            delay = (due - self._clock.now()) / NS
            if delay > 0:
                if not await self._sleep(delay):
                    return
                self._late((self._clock.now() - due) / NS)
            device.due = due
            if device.session is None:
                await journey.log_in()
            if device.session is not None:
                await journey.act()
                due += self._drawn()
            else:
                due += int(self.think * NS)  # undrawn, so that this misfortune doesn't shift the plan
            device.due = None

    def end(self) -> None:
        """Begin no further action; `walk` returns when the one under way has ended."""
        self._is_open = False
        if self._alarm is not None and not self._alarm.done():
            self._alarm.set_result(False)

    def _drawn(self) -> int:
        return int(self._journey.device.chance.exponential(self.think) * NS)

    def _sleep(self, seconds: float) -> asyncio.Future[bool]:
        """Comes true after so long, or false at `end`."""
        loop = asyncio.get_running_loop()
        self._alarm = alarm = loop.create_future()
        loop.call_later(seconds, _ring, alarm)
        return alarm


def _ring(alarm: asyncio.Future[bool]) -> None:
    if not alarm.done():
        alarm.set_result(True)
