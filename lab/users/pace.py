"""One device's open schedule: each action is due at a drawn time, whatever became of the one before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush

from lab.clock import NS, Clock
from lab.users.journey import Journey


class WakeUps:
    """Wakes whoever waits for their time, all by one timer: one for each would cost as much as sending a request.

    For one event loop. Nobody is woken more than GRAIN seconds early, nor later than GRAIN by its own doing.
    """

    GRAIN = 0.001
    """An event loop's timers are no finer; what is due within it is woken together."""

    __slots__ = ("_timer", "_waiting", "_waits", "_wakes_at")

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, asyncio.Future[bool]]] = []
        """A heap, by the loop's time; of two at one time the one that came first is first."""
        self._waits = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0

    def wait(self, seconds: float) -> asyncio.Future[bool]:
        """Comes true after so long, unless it is given another result before."""
        loop = asyncio.get_running_loop()
        alarm: asyncio.Future[bool] = loop.create_future()
        at = loop.time() + seconds
        self._waits += 1
        heappush(self._waiting, (at, self._waits, alarm))
        if self._timer is None or at < self._wakes_at:
            self._wake_at(at, loop)
        return alarm

    def _wake_at(self, at: float, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._wakes_at = loop.call_at(at, self._ring), at

    def _ring(self) -> None:
        loop, self._timer = asyncio.get_running_loop(), None
        waiting, soon = self._waiting, loop.time() + self.GRAIN
        while waiting and waiting[0][0] <= soon:
            alarm = heappop(waiting)[2]
            if not alarm.done():
                alarm.set_result(True)
        if waiting:
            self._wake_at(waiting[0][0], loop)


class ActionPace:
    """Lets one journey act. The times between two due times are exponential with mean `think` seconds.

    An action whose device is still busy when it is due starts late, and its operation records when it was due.
    `late` is told how many seconds the driver itself, not the app, was behind.
    """

    __slots__ = ("_alarm", "_clock", "_is_open", "_journey", "_late", "_schedule", "think")

    def __init__(
        self, journey: Journey, *, think: float, clock: Clock, schedule: WakeUps, late: Callable[[float], None]
    ) -> None:
        """Paces of one event loop share their `schedule`."""
        self._journey, self._clock, self._schedule, self._late = journey, clock, schedule, late
        self.think = think
        """May be changed at any time; holds from the next draw on."""
        self._alarm: asyncio.Future[bool] | None = None
        self._is_open = False

    async def walk(self) -> None:
        """Act until `end`; a device that isn't logged in logs in first, and again at every turn until it is."""
        journey, device = self._journey, self._journey.device
        self._is_open = True
        device.hurry(is_wanted=False)
        due = self._clock.now() + self._drawn()
        while self._is_open:
            delay = (due - self._clock.now()) / NS
            if delay > 0:
                self._alarm = alarm = self._schedule.wait(delay)
                if not await alarm:
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
        self._journey.device.hurry(is_wanted=True)
        if self._alarm is not None and not self._alarm.done():
            self._alarm.set_result(False)

    def _drawn(self) -> int:
        return int(self._journey.device.chance.exponential(self.think) * NS)
