"""Strikes whoever has opted in, at the times and within the bounds that its settings state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from random import Random
from types import TracebackType
from typing import Self

from lab import record
from lab.chaos.faults import FAULTS, Fault
from lab.chaos.schedule import Due, MonkeySettings, draw_schedule
from lab.chaos.striker import Striker
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.cluster.harm import Victim
from lab.errors import LabFault, UsageError
from lab.model import Replica, Role


def is_opted_in(victim: Victim, groups: Sequence[str]) -> bool:
    """Whether it belongs to one of these groups: "app" is a tier, "app/a" that tier in zone a, "store/redis" one."""
    role = victim.role.value
    return bool({role, f"{role}/{victim.zone}", f"{role}/{victim.name}"} & set(groups))


def choose_victim(
    victims: Sequence[Victim], answering: Sequence[Replica], slots: int, settings: MonkeySettings, random: Random
) -> Victim | None:
    """One of those that have opted in and are of use to users now, or None while a strike would be too much.

    The next strike falls only when every slot answers users again: a slot that serves but that the balancer still
    avoids would leave the users one replica fewer than it seems.
    """
    if len(answering) < slots or len(answering) - 1 < settings.least_serving:
        return None
    of_use = {one.container for one in answering}
    may = [one for one in victims if is_opted_in(one, settings.groups) and one.is_running and not one.is_paused]
    may = [one for one in may if one.role is not Role.APP or one.container in of_use]
    return random.choice(sorted(may, key=lambda one: (one.role, one.slot, one.name))) if may else None


class Monkey:
    """One thread that strikes, through a striker that keeps to the blast radius and proves what was done."""

    LOOK_EVERY = 0.05

    def __init__(
        self,
        striker: Striker,
        answering: Callable[[], Sequence[Replica]],
        slots: int,
        settings: MonkeySettings,
        random: Random,
        report: Callable[[record.AnyEvent], None],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._striker, self._answering, self._slots = striker, answering, slots
        self._settings, self._random = settings, random
        self._report, self._clock = report, clock
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monkey", daemon=True)
        self._due = draw_schedule(settings, random)
        self.strikes = 0
        """Those that hit, or that a leashed monkey told of."""
        self.misses = 0
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Strike no more; what it did and lasts is undone. Calling it again does nothing."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def is_done(self) -> bool:
        """Whether all strikes have been made. Raises what ended the thread, if anything did."""
        if self.error is not None:
            raise self.error
        return self.strikes >= self._wanted

    @property
    def _wanted(self) -> int:
        return len(self._due)

    def _run(self) -> None:
        try:
            self._make_strikes()
        except BaseException as exc:  # noqa: BLE001 -- it goes into the record and to whoever asks `is_done`
            self.error = exc
            if not self._ending.is_set():
                self._report(record.Trouble(at=self._clock.now(), what=f"the monkey stopped: {exc}"))

    def _make_strikes(self) -> None:
        due_at = self._clock.now()
        for due in self._due:
            due_at += int(due.gap * NS)
            if self._ending.wait(max(0.0, (due_at - self._clock.now()) / NS)):
                return
            if not self._strike(due):
                return
            if self._settings.calendar is None:
                due_at = self._clock.now()

    def _strike(self, due: Due) -> bool:
        """Wait until a strike is right, and make it; False where it was told to end before."""
        fault = FAULTS[self._random.choice(self._settings.do)]
        luck = self._random.getrandbits(32)  # drawn once, so that waiting does not change who is struck
        while not self._ending.is_set():
            victim = self._choose(due, fault, Random(luck))
            if victim is not None and self._do(due, fault, victim):
                return True
            self._ending.wait(self.LOOK_EVERY)
        return False

    def _choose(self, due: Due, fault: Fault, random: Random) -> Victim | None:
        answering = self._answering()
        if len(answering) < self._slots:
            return None
        groups = (due.group,) if due.group else self._settings.groups
        may = [one for one in self._striker.victims() if is_opted_in(one, groups) and one.role in fault.hits]
        return choose_victim(may, answering, self._slots, self._settings, random)

    def _do(self, due: Due, fault: Fault, victim: Victim) -> bool:
        """Whether it was done, or told of. A refusal is waited out; a strike that hit nothing is made again."""
        signal = self._settings.signal
        if self._striker.refusal([victim]):
            return False
        if self._settings.leashed:
            self.strikes += 1
            what = fault.text(signal)
            self._report(record.WouldStrike(at=self._clock.now(), fault=what, victim=victim.name, when=due.when))
            return True
        try:
            [struck] = self._striker.strike(fault, [victim], signal=signal, source=record.StrikeSource.MONKEY)
        except UsageError:
            return False  # somebody else struck in between
        if struck.hit and (fault.lasts or victim.role is not Role.APP):
            self._ending.wait(self._settings.seconds)
        self._striker.undo([struck.strike])
        self.strikes += struck.hit
        self.misses += not struck.hit
        if self.misses > self._settings.at_most:
            raise LabFault(f"{self.misses} strikes hit nothing; the last: {struck.why}", at=victim.name)
        return struck.hit
