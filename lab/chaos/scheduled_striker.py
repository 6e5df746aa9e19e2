"""Strikes that are told one by one, each by its slot and its moment: what repeats a run's strikes, or some of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import NamedTuple, TypeVar

from lab import record
from lab.chaos.faults import FAULTS, FaultName, Signal
from lab.chaos.monkey import Monkey
from lab.chaos.schedule import GROUPS, MonkeySettings
from lab.chaos.striker import Striker
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.cluster.harm import Victim
from lab.errors import UsageError, WaitTimeout
from lab.model import Replica, Role

T = TypeVar("T")


class Aim(NamedTuple):
    """Whose slot is struck, and how many seconds after the beginning, or after another slot was upgraded.

    "balancer", or "balancer/a" for that of a zone, stands for a slot too, and so do stores and Sentinels. What does not
    end its victim lasts `seconds`.
    """

    slot: str
    at: float
    after: str | None = None
    do: FaultName = "kill"
    seconds: float = 0.0


class ScheduledStriker(Monkey):
    """Strikes each slot at its moment, or as soon after it as its replica answers users and the blast radius allows.

    One after another, in their order. `upgraded` says when a slot's upgrade was done, if it was. `is_done` raises
    WaitTimeout where a slot could not be struck within `patience` seconds of its moment: then the schedule was not
    repeated, and nothing can be told.
    """

    def __init__(
        self,
        striker: Striker,
        answering: Callable[[], Sequence[Replica]],
        aims: Sequence[Aim],
        report: Callable[[record.AnyEvent], None],
        *,
        upgraded: Callable[[str], int | None] = lambda _: None,
        signal: Signal = "SIGKILL",
        patience: float = 30.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        settings = MonkeySettings(at_least=len(aims), at_most=len(aims), signal=signal)
        super().__init__(striker, answering, 0, settings, Random(0), report, clock=clock)
        self._aims, self._patience, self._upgraded = tuple(aims), patience, upgraded
        self._why = ""
        """Why the strike that is due could not be made yet."""

    @property
    def _wanted(self) -> int:
        return len(self._aims)

    def _make_strikes(self) -> None:
        began = self._clock.now()
        for aim in self._aims:
            since = began
            if aim.after is not None:
                done = self._wait(partial(self._upgrade_of, aim.after, began), aim, began)
                if done is None:
                    return
                since = done
            if self._wait(partial(self._struck, aim, since), aim, since + int(aim.at * NS)) is None:
                return

    def _upgrade_of(self, slot: str, began: int) -> int | None:
        self._why = f"{slot} was not upgraded"
        done = self._upgraded(slot)
        return done if done is not None and done >= began else None

    def _struck(self, aim: Aim, since: int) -> bool | None:
        """Struck, once the moment has come and the slot's replica answers."""
        if self._clock.now() < since + int(aim.at * NS):
            return None
        victim = self._find(aim)
        self._why = f"{aim.slot} served nobody" if victim is None else self._hit(victim, aim)
        return None if self._why else True

    def _find(self, aim: Aim) -> Victim | None:
        """The balancer or member of a store that is named, or the replica that answers users in the slot."""
        role, _, zone = aim.slot.partition("/")
        if role in GROUPS:
            named = [one for one in self._striker.victims() if one.role == role]
            there = [one for one in named if zone in {"", one.zone, one.name}]
        else:
            answering = {one.container for one in self._answering() if one.slot == aim.slot}
            there = [one for one in self._striker.victims() if one.container in answering]
        return next((one for one in there if one.is_running and not one.is_paused), None)

    def _wait(self, look: Callable[[], T | None], aim: Aim, due: int) -> T | None:
        """What is found; None if the run ends before. Raises WaitTimeout `patience` seconds after `due`."""
        while not self._ending.is_set():
            found = look()
            if found is not None:
                return found
            if self._clock.now() > due + int(self._patience * NS):
                raise WaitTimeout(
                    f"{aim.slot} could not be struck within {self._patience:g} s of its moment: {self._why}",
                    at="schedule",
                    hint="lab check RUN, or a longer `patience`",
                )
            self._ending.wait(self.LOOK_EVERY)
        return None

    def _hit(self, victim: Victim, aim: Aim) -> str:
        """Why it could not be done, or ""."""
        fault = FAULTS[aim.do]
        try:
            [struck] = self._striker.strike(
                fault, [victim], signal=self._settings.signal, source=record.StrikeSource.SCHEDULE
            )
        except UsageError as exc:
            return exc.what
        if struck.hit and (fault.lasts or victim.role is not Role.APP):
            self._ending.wait(aim.seconds)
        self._striker.undo([struck.strike])
        self.strikes += struck.hit
        return "" if struck.hit else struck.why
