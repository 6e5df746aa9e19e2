"""Many logged-in users in one thread of their own, and the conductor's controls over them."""

from __future__ import annotations

import asyncio
import itertools
import random
import resource
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.errors import JourneyMistake, LabFault, SetupError, UsageError, WaitTimeout
from lab.model import Operation
from lab.users.accounts import CrowdSize, plan_accounts
from lab.users.counts import CrowdCounts, CrowdTally
from lab.users.device import Device, User
from lab.users.journey import Journey
from lab.users.loop_thread import LoopThread, each
from lab.users.pace import ActionPace, WakeUps
from lab.users.shop import Shopper
from lab.users.tries import Tries
from lab.users.turns import Turns
from lab.users.wire import Alarms, Door, quickest_loop

HEARTBEAT = 0.05
"""Every so many seconds the crowd looks how late its own event loop is."""

LOGIN_PAUSE = 0.25
"""Seconds before a device whose login failed tries another one, so that a wrong password can't hammer the app."""

FAIL_ALIKE = 2
"""So many logins that fail, at least, are no accident."""

BEGIN_AT_ONCE = 200
"""So many devices begin to shop in one turn of the event loop."""

MUST_END = "every request and every wait of a journey must end"
SPARE_FILES = 256
"""Open files that are left to the rest of the process."""


class Crowd:
    """Users that log in, act and read back over HTTP, in a thread of their own.

    `on_operation` is called with each operation as it ends, in the crowd's thread, so it must be quick, and an
    exception of its is a fault of the crowd. Every control may be called from any thread but the crowd's, raises
    what went wrong inside the crowd, and leaves it running: `stop` (or leaving the `with` block) ends it.

    Devices take turns among `targets`, which are doors to the same app, and go on to the next where theirs does not
    answer. `turns` bound how much all of them together send. The same `chance` gives the same
    accounts and plans; what a device draws doesn't depend on any other device.
    """

    def __init__(
        self,
        targets: Sequence[Door],
        size: CrowdSize,
        *,
        chance: random.Random,
        on_operation: Callable[[Operation], None],
        journey: Callable[[Device], Journey] = Shopper,
        policy: Tries | None = None,
        turns: Turns | None = None,
        clock: Clock = SYSTEM_CLOCK,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] = quickest_loop,
    ) -> None:
        if not targets:
            raise UsageError("a crowd needs somewhere to go", at="users")
        seed, accounts = plan_accounts(size, chance)
        self._size, self._clock = size, clock
        self._on_operation = on_operation
        self._tally, self._schedule = CrowdTally(clock=clock), WakeUps()
        ids, numbers, alarms = itertools.count(), itertools.count(size.part), Alarms()

        def device_of(user: User, number: int) -> Device:
            return Device(
                user,
                number,
                targets=_from(targets, next(numbers)),
                seed=f"{seed}/user-{user.name.rpartition('-')[2]}.{number}",  # whatever this run's accounts are called
                ids=ids,
                witness=self,
                policy=policy or Tries(),
                clock=clock,
                alarms=alarms,
                turns=turns,
            )

        self.users: Sequence[User] = tuple(user for user, _ in accounts)
        self._homes = tuple(
            tuple(journey(device_of(user, number)) for number in range(1, devices + 1)) for user, devices in accounts
        )
        """Each user's journeys, one a device."""
        self._journeys = tuple(itertools.chain.from_iterable(self._homes))
        self.devices = tuple(journey.device for journey in self._journeys)
        self._walks: list[tuple[ActionPace, asyncio.Task[None]]] = []
        self._is_shopping = False
        self._thread = LoopThread("crowd", loop_factory, began=self._begin, leaving=self._close_all)

    # the conductor's controls

    def start(self) -> None:
        """Start the thread; nothing is sent yet. Raises SetupError where the process may open too few files."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        needed = len(self.devices) + SPARE_FILES
        if most != resource.RLIM_INFINITY and most < needed:
            raise SetupError(
                f"{len(self.devices)} devices need {needed} open files, and {most} are allowed",
                hint=f"ulimit -n {needed}",
            )
        self._thread.start()

    def log_in(self, within: float, nobody_is_in: Callable[[], Awaitable[str]] | None = None) -> None:
        """Return when every device is logged in; raises WaitTimeout after `within` seconds.

        Where the first logins all fail `nobody_is_in` is awaited once, in the crowd's loop: it may raise, or say what
        the error of a wait that was too long should say beside.
        """
        self._thread.command(self._log_in_all(within, nobody_is_in))

    def shop(self) -> None:
        """Let every device act from now on, until `settle`. Calling it again does nothing."""
        self._thread.command(self._begin_walks())

    def hurry(self, think: float) -> None:
        """Let every device act every `think` seconds in the mean from its next action on."""
        for pace, _ in tuple(self._walks):
            pace.think = think

    def settle(self, within: float) -> None:
        """Begin no more actions, and return when all that were begun have ended.

        Raises WaitTimeout after `within` seconds; what is in flight goes on then, and it may be called again.
        """
        self._thread.command(self._end_walks(within))

    def read_back(self, within: float) -> str:
        """Let every device, one after another of each user, read the whole state; settles first if need be.

        Says who was not shown all of it, for a person; empty where everybody was. Raises WaitTimeout after `within`
        seconds.
        """
        return self._thread.command(self._read_back_all(within))

    def counts(self) -> CrowdCounts:
        """The counts of this moment; never waits for the crowd and never raises."""
        logged_in = sum(device.is_logged_in for device in self.devices)
        return self._tally.counts(
            users=len(self.users),
            devices=len(self.devices),
            logged_in=logged_in,
            in_flight=sum(user.in_flight for user in self.users),
        )

    def check(self) -> None:
        """Raise what went wrong inside the crowd, if something did; a journey that blocks all others among it."""
        self._thread.check()
        if stuck := self._thread.stuck():
            raise JourneyMistake(stuck, at="journey", hint=MUST_END)

    def stop(self) -> str:
        """Drop whatever is under way, recorded as cut, close all sockets and end the thread.

        Calling it again does nothing. Raises nothing: `check` still tells what went wrong. Says where somebody's own
        journey is that never returned; "" where none did so.
        """
        return self._thread.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        stuck = self.stop()
        if error is None:
            self.check()
            if stuck:
                raise JourneyMistake(stuck, at="journey", hint=MUST_END)
        elif stuck:
            error.add_note(stuck)

    # what devices tell, in the crowd's thread

    def ended(self, operation: Operation) -> None:
        self._tally.ended(operation)
        self._on_operation(operation)

    # in the crowd's thread

    def _begin(self) -> None:
        self._heart = self._thread.go(self._beat())

    async def _close_all(self) -> None:
        for device in self.devices:
            await device.close()

    async def _beat(self) -> None:
        while True:
            due = self._clock.now() + int(HEARTBEAT * NS)
            await asyncio.sleep(HEARTBEAT)
            self._tally.late((self._clock.now() - due) / NS)

    async def _log_in_all(self, within: float, nobody_is_in: Callable[[], Awaitable[str]] | None) -> None:
        failed, beside = 0, ""

        async def log_in(journey: Journey) -> None:
            nonlocal failed, beside
            await journey.log_in()
            while not journey.device.is_logged_in:
                failed += 1
                if failed == enough and nobody_is_in is not None and not any(one.is_logged_in for one in self.devices):
                    beside = await nobody_is_in()
                await asyncio.sleep(LOGIN_PAUSE)
                await journey.log_in()

        # First devices first: a new account is then made by one login, not by a race of two.
        order = sorted(
            (journey for journey in self._journeys if not journey.device.is_logged_in),
            key=lambda journey: journey.device.number,
        )
        enough = max(FAIL_ALIKE, min(len(order), self._size.logins_at_once))
        if not await each(order, log_in, at_once=self._size.logins_at_once, within=within):
            raise self._not_logged_in(within, beside)

    def _not_logged_in(self, within: float, beside: str) -> WaitTimeout:
        missing = [device for device in self.devices if not device.is_logged_in]
        seen = next((f"{device.name} last got {device.last}" for device in missing if device.last), "no login ended")
        is_refused = any(device.last in {"401", "422"} for device in missing)
        return WaitTimeout(
            f"{len(missing)} of {len(self.devices)} devices were not logged in after {within:g} s: {seen}{beside}",
            at="users",
            hint="accounts of these names are there already: begin with an empty store" if is_refused else "",
        )

    async def _begin_walks(self) -> None:
        if self._is_shopping:
            return
        if self._walks:
            raise LabFault("users that are still settling can't begin to shop", at="users")
        self._is_shopping = True
        for number, journey in enumerate(self._journeys):
            if number % BEGIN_AT_ONCE == 0:
                await asyncio.sleep(0)  # thousands of beginnings in one turn would look like the driver's lag
                if not self._is_shopping:
                    return
            pace = ActionPace(
                journey, think=self._size.think, clock=self._clock, schedule=self._schedule, late=self._tally.late
            )
            self._walks.append((pace, self._thread.go(pace.walk())))

    async def _end_walks(self, within: float) -> None:
        self._is_shopping = False
        for pace, _ in self._walks:
            pace.end()
        if self._walks:
            _, busy = await asyncio.wait([task for _, task in self._walks], timeout=within)
            if busy:
                raise WaitTimeout(f"{len(busy)} devices were not settled after {within:g} s", at="users")
        self._walks.clear()

    async def _read_back_all(self, within: float) -> str:
        until = self._clock.now() + int(within * NS)
        await self._end_walks(within)
        read, missing = 0, list[Device]()

        async def read_back(home: tuple[Journey, ...]) -> None:
            nonlocal read
            missing.extend([journey.device for journey in home if not await _has_read_back(journey)])
            read += 1

        left = (until - self._clock.now()) / NS
        if not await each(self._homes, read_back, at_once=self._size.readers_at_once, within=left):
            raise WaitTimeout(f"only {read} of {len(self._homes)} users had read back after {within:g} s", at="users")
        if not missing:
            return ""
        many, first = f"{len(missing)} of {len(self.devices)} devices", missing[0]
        how = "was not shown all of it" if first.is_logged_in else f"was not logged in, last got {first.last}"
        return f"{many} could not read back their users' state: {first.name} {how}"


async def _has_read_back(journey: Journey) -> bool:
    """Whether a device was shown the whole state; tried again, logged in anew, where its session ended meanwhile."""
    device = journey.device
    for _ in range(2):
        if not device.is_logged_in:
            await journey.log_in()
        if device.is_logged_in and await journey.read_back():
            return True
        if device.is_logged_in:
            break
    return False


def _from(targets: Sequence[Door], turn: int) -> Sequence[Door]:
    """All of them, beginning with another one at every turn."""
    first = turn % len(targets)
    return (*targets[first:], *targets[:first])
