"""Looks at a cluster, round after round: what exists, who is ready, who has a slot, and who has gone silent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from lab.balancer.protocol import Balancer, ReplicaAnswer
from lab.clock import NS, Clock
from lab.deploy.plan import ClusterLook
from lab.model import Replica, ReplicaState

ASK_AGAIN = 1.0
"""Seconds after which a replica that was well is asked again."""
FROZEN_AFTER = 8.0
"""Seconds without any answer from a replica that answered before: longer than the balancer is patient with it, so
that a stall that heals by itself is not made worse by a replacement."""
AT_ONCE = 1
"""Replicas that may be replaced at the same time because they are silent, whatever a scenario strikes at once."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0
"""Seconds before a replica is made again where the last one died before it was ready; doubled each time."""


class Lookout:
    """What the deployer knows from looking. It remembers only when it saw things first: another one starts afresh."""

    def __init__(self, balancer: Balancer, clock: Clock) -> None:
        self._balancer, self._clock = balancer, clock
        self._beside: ThreadPoolExecutor | None = None
        self.started_at: dict[str, int] = {}
        self.drained_at: dict[str, int] = {}
        self.upgraded_at: int | None = None
        self.held: set[str] = set()
        self.saw: dict[str, str] = {}
        """By name, what came of the last question to a replica, where its gate says it."""
        self.idle: dict[str, float] = {}
        """By name, the seconds after which it closes idle connections, where its gate saw that."""
        self._answered_at: dict[str, int] = {}
        self._asked_at: dict[str, int] = {}
        self._ready: set[str] = set()
        self._holders: dict[str, str] = {}
        self._died_early: dict[str, int] = {}
        self._not_before: dict[str, int] = {}
        self._given_up: set[str] = set()
        """Those that are being replaced because they are silent."""

    def look(self, replicas: Sequence[Replica]) -> ClusterLook:
        """One look. Whoever was well within ASK_AGAIN is taken at its word; everybody else is asked."""
        running = {one.name: one for one in replicas if one.state is ReplicaState.RUNNING}
        there = {one.name: one for one in replicas if one.state is not ReplicaState.DEAD}
        now = self._clock.now()
        for one in there.values():
            if one.state is not ReplicaState.CREATED:  # one that is paused never gets ready either
                self.started_at.setdefault(one.container, now)
        self._forget(there)
        self._ask(running)
        for slot in self._holders:
            self.held.add(slot)
        return ClusterLook(
            at=self._clock.now(),
            replicas=tuple(replicas),
            ready=frozenset(self._ready),
            holders=dict(self._holders),
            frozen=frozenset(self._frozen(there.values())),
            started_at=self.started_at,
            drained_at=self.drained_at,
            upgraded_at=self.upgraded_at,
            held=frozenset(self.held),
            not_before=self._not_before,
        )

    def close(self) -> None:
        """Let its thread end. It may be asked to look again, and makes another one then."""
        if self._beside is not None:
            self._beside.shutdown(wait=False)
            self._beside = None

    def note_entered(self, replica: Replica) -> None:
        """Ask again at once who has its slot."""
        self._holders.pop(replica.slot, None)

    def note_early_death(self, replica: Replica) -> None:
        """Wait longer each time before another one is made where replicas die before they are ready."""
        count = self._died_early.get(replica.slot, 0)
        self._died_early[replica.slot] = count + 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2**count)
        self._not_before[replica.slot] = self._clock.now() + int(wait * NS)

    def note_gone(self, replica: Replica) -> None:
        """Forget a container that was removed."""
        for times in (self.started_at, self.drained_at):
            times.pop(replica.container, None)

    def _forget(self, there: Mapping[str, Replica]) -> None:
        self._ready &= there.keys()
        self._holders = {slot: name for slot, name in self._holders.items() if name in there}
        for noted in (self._answered_at, self._asked_at, self.saw, self.idle):
            for name in noted.keys() - there.keys():
                del noted[name]

    def _ask(self, running: Mapping[str, Replica]) -> None:
        now = self._clock.now()
        stale = now - int(ASK_AGAIN * NS)
        due = {
            name
            for name, one in running.items()
            if one.container not in self.drained_at
            and (name not in self._ready or self._asked_at.get(name, stale) <= stale)
        }
        slots = {running[name].slot for name in due} | {one.slot for one in running.values()} - self._holders.keys()
        for name in due:
            self._asked_at[name] = now
        self._beside = self._beside or ThreadPoolExecutor(1, thread_name_prefix="lookout")
        asked = self._beside.submit(self._balancer.holders, sorted(slots))  # silence is waited for once, not twice
        self._take_in({name: running[name] for name in due}, self._balancer.replicas(sorted(due)))
        answers = asked.result()
        for slot in slots:
            answer = answers.get(slot)
            if answer is not None:
                self._holders[slot] = answer.replica
            elif slot in self._holders and self._holders[slot] not in running:
                del self._holders[slot]

    def _take_in(self, asked: Mapping[str, Replica], answers: Mapping[str, ReplicaAnswer]) -> None:
        now = self._clock.now()
        for name, one in asked.items():
            answer = answers.get(name)
            if answer is not None and answer.saw:
                self.saw[name] = answer.saw
            if answer is not None and answer.idle is not None:
                self.idle[name] = answer.idle
            if answer is None or answer.is_silent:
                continue  # silence is not news until it has lasted: `_frozen` sees to that
            self._ready.discard(name)
            if answer.is_ready:
                self._ready.add(name)
                self._died_early.pop(one.slot, None)
            if answer.is_ready or name in self._answered_at:
                self._answered_at[name] = now

    def _frozen(self, there: Collection[Replica]) -> set[str]:
        """Those that were ready once and have been silent since; a draining one is on its way out anyway.

        At most AT_ONCE at a time, the longest silent first, and the next one only when no replica is starting: where
        all seem frozen it is more likely that the machine is slow, and whoever replaced them all would make an outage
        of it.
        """
        now = self._clock.now()
        here = [one for one in there if one.container not in self.drained_at]
        silent = [
            one
            for one in here
            if one.name in self._answered_at and now - self._answered_at[one.name] > FROZEN_AFTER * NS
        ]
        silent.sort(key=lambda one: (self._answered_at[one.name], one.name))
        self._given_up &= {one.container for one in silent}
        if not self._given_up and all(one.name in self._answered_at for one in here):
            self._given_up = {one.container for one in silent[:AT_ONCE]}
        return set(self._given_up)
