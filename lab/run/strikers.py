"""Puts together who strikes in a run: what may be struck, what is known of it, and within which bounds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from random import Random

from lab import record
from lab.backends.protocol import OpenProject
from lab.chaos.guard import BlastRadius, Capacity
from lab.chaos.monkey import Monkey
from lab.chaos.opened import OpenFaults
from lab.chaos.schedule import MonkeySettings
from lab.chaos.scheduled_striker import Aim, ScheduledStriker
from lab.chaos.striker import Striker, StrikerParts
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.cluster.harm import Victim
from lab.deploy.desk import Desk
from lab.model import Replica, Role, Slot
from lab.run.recent_answers import RecentAnswers
from lab.run.strikable_deployers import StrikableDeployers, StrikableUnion
from lab.scenario.spec import Schedule
from lab.state.protocol import State

SERVED_JUST_NOW = 2.0
"""Seconds before a strike in which its victim must have answered somebody for the strike to count as a hit."""


class ServingView:
    """What a run knows of its replicas: who serves, by the deployer's last word, and who answers users."""

    def __init__(
        self, desk: Desk, served: RecentAnswers, slots: Sequence[Slot], *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._desk, self._served, self._slots, self._clock = desk, served, slots, clock

    def serving(self) -> list[Replica]:
        """The replicas that are ready and have their slots."""
        status = self._desk.status()
        return list(status.serving) if status is not None else []

    def answering(self) -> list[Replica]:
        """Those of them from which users got answers just now."""
        return [one for one in self.serving() if self._answered(one.name)]

    def standing(self) -> Capacity:
        """The slots that are to serve, and those that do."""
        active = set(self._desk.read().desired.active)
        return Capacity(
            zone_of={slot.name: slot.zone for slot in self._slots if slot.name in active},
            serving={one.slot: one.container for one in self.serving()},
        )

    def evidence(self, victim: Victim) -> str:
        """What shows that users had it just before: a replica's own answers; of anything else, that it ran."""
        if victim.role is not Role.APP:
            return "it ran" if victim.is_running else ""
        answered = self._answered(victim.name)
        return f"it had answered {answered} requests in the {SERVED_JUST_NOW:.0f} s before" if answered else ""

    def _answered(self, replica: str) -> int:
        return self._served.answered_since(replica, self._clock.now() - int(SERVED_JUST_NOW * NS))


def make_striker(
    live: OpenProject,
    state: State,
    watched: ServingView,
    radius: BlastRadius,
    report: Callable[[record.AnyEvent], None],
    *,
    crew: StrikableDeployers | None = None,
    numbers: Iterator[int] | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Striker:
    """Whoever strikes in a run goes through one striker, so that one blast radius holds for all."""
    target = live.strikable
    ground = StrikerParts(
        target=target if crew is None else StrikableUnion(target, crew),
        opened=OpenFaults(state, live.project),
        standing=watched.standing,
        evidence=watched.evidence,
        report=report,
        numbers=numbers or itertools.count(1),
        halted=live.halted,
        primary=live.stores.primary,
        unwell=live.stores.trouble,
    )
    return Striker(ground, radius, clock=clock)


def make_monkey(
    striker: Striker,
    view: ServingView,
    slots: int,
    report: Callable[[record.AnyEvent], None],
    settings: MonkeySettings,
    random: Random,
    *,
    clock: Clock = SYSTEM_CLOCK,
) -> Monkey:
    """Strikes drawn at random, by a seed that is drawn here."""
    return Monkey(striker, view.answering, slots, settings, Random(random.getrandbits(64)), report, clock=clock)


def make_scheduled_striker(
    striker: Striker,
    view: ServingView,
    upgraded: Callable[[str], int | None],
    report: Callable[[record.AnyEvent], None],
    schedule: Schedule,
    *,
    clock: Clock = SYSTEM_CLOCK,
) -> ScheduledStriker:
    """Strikes told one by one; `upgraded` says when a slot's upgrade was done."""
    aims = [Aim(strike.slot, strike.at, strike.after, strike.do, strike.seconds) for strike in schedule.strikes]
    return ScheduledStriker(
        striker,
        view.answering,
        aims,
        report,
        upgraded=upgraded,
        signal=schedule.signal,
        patience=schedule.patience,
        clock=clock,
    )
