"""Puts together who strikes in a run: what may be struck, what is known of it, and within which bounds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from lab import record
from lab.backends.docker import LiveCluster
from lab.chaos.guard import BlastRadius, Capacity
from lab.chaos.opened import OpenFaults
from lab.chaos.striker import Striker, StrikerParts
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.cluster.engine_harm import EngineHarm
from lab.cluster.harm import Strikable, Victim
from lab.cluster.store_look import StoreLook
from lab.deploy.desk import Desk
from lab.machine.halt import halted_by
from lab.model import Replica, Role, Slot
from lab.run.recent_answers import RecentAnswers
from lab.run.strikable_deployers import StrikableDeployers, StrikableUnion
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
    live: LiveCluster,
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
    look = StoreLook(live.engine, project=live.project)
    target: Strikable = EngineHarm(live.engine, project=live.project)
    ground = StrikerParts(
        target=target if crew is None else StrikableUnion(target, crew),
        opened=OpenFaults(state, live.project),
        standing=watched.standing,
        evidence=watched.evidence,
        report=report,
        numbers=numbers or itertools.count(1),
        halted=partial(halted_by, live.engine),
        primary=look.primary,
        unwell=look.trouble,
    )
    return Striker(ground, radius, clock=clock)
