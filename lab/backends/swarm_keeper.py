"""Tells Swarm what is wanted of a cluster, and tells the lab what Swarm makes of it. Swarm itself does all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from lab import record
from lab.clock import NS
from lab.cluster.swarm_change import Change, name_slots, roll_back, scale, update
from lab.cluster.swarm_stack import GRACE, ROLLOUT, SLOTS
from lab.cluster.swarm_tasks import AppService, SwarmReplicas, Task, replica_of
from lab.deploy.advance import RolloutProgress
from lab.deploy.deployer import Deployer
from lab.deploy.desk import StoredDesired
from lab.deploy.plan import Act, Decision, Why
from lab.deploy.rollout import Desired, Phase, Rollout
from lab.deploy.tenure import Tenure
from lab.errors import LabFault
from lab.machine.swarm import Swarm, SwarmNode
from lab.model import Replica, Slot, Value

TOLD_TO_END = frozenset({"shutdown", "complete", "remove"})
"""States of a task that Swarm ended; one that ended otherwise has died."""
UPDATE_AGE = 2.0
"""Seconds by which an engine's clock may be behind."""


class _Look(Value):
    """What one look at the swarm showed."""

    service: AppService
    tasks: tuple[Task, ...]
    nodes: Mapping[str, SwarmNode]
    slots: tuple[Slot, ...]

    @property
    def serving(self) -> list[tuple[Task, Replica]]:
        """Those that Swarm sends to, on nodes that are there."""
        there = [
            task for task in self.tasks if task.serves and task.node in self.nodes and self.nodes[task.node].is_ready
        ]
        return [(task, replica_of(task, self.nodes, self.slots)) for task in there]


class SwarmKeeper(Deployer):
    """A deployer's office, without its acts: the desk's wishes go to Swarm as they are.

    An upgrade is Swarm's `service update`, going back its `service rollback`, scaling its `service scale`. A strategy
    that Swarm has no word for never gets here: the backend refuses it.
    """

    ROUND = IDLE_ROUND = 0.25

    def __init__(self, swarm: Swarm, cluster: SwarmReplicas, *rest: Any, **more: Any) -> None:
        super().__init__(cluster, *rest, **more)
        self._swarm, self._app = swarm, cluster
        self._known: dict[str, Replica] = {}
        """By task, those that served once and have not ended."""
        self._leaving: set[str] = set()
        self._by_release: dict[str, int] | None = None
        self._has_served = False

    def round(self) -> Decision:
        tenure = self._in_office()
        tenure.guard()
        kept = self.desk.read()
        seen = self._look(kept)
        if not self._has_served and self._arranges(seen, kept, tenure):
            return Decision()
        self._tell_tasks(seen, kept.desired)
        self._ask_swarm(seen, kept.desired)
        is_settled = self._is_as_wanted(seen, kept.desired)
        kept, has_moved = self._pass_on(seen, kept, tenure, is_settled=is_settled)
        those = [replica for _, replica in seen.serving]
        kept = self._note_who_stayed(kept, those, tenure)
        self._write_serving(kept, those, tenure, is_settled=is_settled and not has_moved)
        return Decision(is_settled=is_settled and not has_moved)

    def _look(self, kept: StoredDesired) -> _Look:
        service = self._app.service()
        if service is None:
            raise LabFault("the app's service is gone", at=self._name, hint="docker service ls")
        nodes = {node.id: node for node in self._swarm.nodes()}
        slots = self._app.slots or kept.desired.slots
        return _Look(service=service, tasks=tuple(self._app.tasks()), nodes=nodes, slots=slots)

    # the slots' names

    def _arranges(self, seen: _Look, kept: StoredDesired, tenure: Tenure) -> bool:
        """Once every task serves for the first time, name the slots by the zones in which Swarm has put them."""
        if len(seen.serving) < len(kept.desired.active):
            return False
        self._has_served = True
        told = seen.service.carried.get(SLOTS, "")
        if told:
            return False
        zones = {task.number: replica.zone for task, replica in seen.serving}
        slots = arranged(kept.desired.slots, zones)
        self._app.slots = slots
        tenure.guard()
        self.desk.write(kept, msgspec.structs.replace(kept.desired, slots=slots), tenure.lease)
        name_slots(self._swarm, seen.service, slots)
        return True

    # what is asked of Swarm

    def _ask_swarm(self, seen: _Look, desired: Desired) -> None:
        rollout, service = desired.under_way, seen.service
        if rollout is None:
            if service.replicas != len(desired.active) and not service.is_changing:
                scale(self._swarm, service, len(desired.active))
                self._note(f"scaled to {len(desired.active)}")
            return
        if rollout.phase is Phase.BACK:
            if service.release == rollout.to.name and service.update != "rollback_started":
                roll_back(self._swarm, service)
                self._note(f"asked Swarm to roll back to {rollout.before.name}")
        elif not _has_begun(service, rollout):
            update(self._swarm, service, change_of(rollout, len(desired.active)))
            self._note(f"asked Swarm to update to {rollout.to.name}")

    def _note(self, what: str) -> None:
        self._last_step = what

    def _is_as_wanted(self, seen: _Look, desired: Desired) -> bool:
        """Whether Swarm is at rest, with every task of the release that the present phase wants."""
        rollout, service = desired.under_way, seen.service
        release = desired.release.name
        if rollout is not None:
            release = rollout.before.name if rollout.phase is Phase.BACK else rollout.to.name
            if not _has_begun(service, rollout):
                return False
        serving = seen.serving
        is_full = len(serving) == len(desired.active) == service.replicas
        return (
            is_full
            and not service.is_changing
            and all(task.release == release for task, _ in serving)
            and all(node.is_ready for node in seen.nodes.values())
            and not any(task.is_wanted and not task.serves for task in seen.tasks)
        )

    def _pass_on(
        self, seen: _Look, kept: StoredDesired, tenure: Tenure, *, is_settled: bool
    ) -> tuple[StoredDesired, bool]:
        """Let the rollout's phases follow what Swarm says of its update."""
        rollout = kept.desired.under_way
        if rollout is None:
            return kept, False
        failed = ""
        if _has_begun(seen.service, rollout) and seen.service.update.startswith(("rollback", "paused")):
            failed = _why_back(seen, rollout)
        progress = RolloutProgress(
            at=self._wall(), in_phase=self._seconds_in_phase(rollout), is_settled=is_settled, failed=failed
        )
        tenure.guard()
        return self._move_on(kept, kept.desired, progress, tenure)

    def _note_who_stayed(self, kept: StoredDesired, those: Sequence[Replica], tenure: Tenure) -> StoredDesired:
        """Swarm chooses which slots are left where there are to be fewer."""
        desired, names = kept.desired, tuple(sorted({one.slot for one in those}))
        known = {slot.name for slot in desired.slots}
        is_other = set(names) != set(desired.active) and set(names) <= known
        if desired.under_way is not None or len(names) != len(desired.active) or not is_other:
            return kept
        tenure.guard()
        return self.desk.write(kept, msgspec.structs.replace(desired, active=names), tenure.lease)

    # what is told of it

    def _tell_tasks(self, seen: _Look, desired: Desired) -> None:
        serving = {task.id: replica for task, replica in seen.serving}
        for task, replica in serving.items():
            if task not in self._known:
                self._known[task] = replica
                why = self._why_made(desired)
                for action in ("ready", Act.ENTER.value):
                    self._say_step(action, replica, why)
        there = {task.id: task for task in seen.tasks}
        for task, replica in tuple(self._known.items()):
            now = there.get(task)
            if now is not None and now.state == "running" and not now.is_wanted and task not in self._leaving:
                self._leaving.add(task)
                self._say_step(Act.DRAIN.value, replica, self._why_made(desired))
            elif now is None or now.state not in {"running", "starting"}:
                if task in self._leaving or (now is not None and now.state in TOLD_TO_END):
                    if task not in self._leaving:  # between two looks
                        self._say_step(Act.DRAIN.value, replica, self._why_made(desired))
                    self._say_step(Act.REMOVE.value, replica, self._why_made(desired))
                self._leaving.discard(task)
                del self._known[task]
        by_release: dict[str, int] = {}
        for replica in serving.values():
            by_release[replica.release] = by_release.get(replica.release, 0) + 1
        if by_release != self._by_release:
            self._by_release = by_release
            total = sum(by_release.values())
            self._report(record.Serving(at=self._clock.now(), by_release=by_release, total=total))

    def _why_made(self, desired: Desired) -> Why:
        rollout = desired.under_way
        if not self._has_served:
            return Why.FIRST
        if rollout is None:
            return Why.REPLACEMENT
        return Why.ROLLBACK if rollout.phase is Phase.BACK else Why.UPGRADE

    def _say_step(self, action: str, replica: Replica, why: Why) -> None:
        self._say(
            record.Step(
                at=self._clock.now(),
                action=action,
                slot=replica.slot,
                replica=replica.name,
                release=replica.release,
                why=str(why),
            )
        )


def change_of(rollout: Rollout, slots: int) -> Change:
    """How Swarm is to do what a rollout's strategy says."""
    strategy = rollout.strategy
    return Change(
        rollout=rollout.id,
        to=rollout.to,
        at_once=strategy.at_once(slots),
        pause=strategy.pause,
        in_place=strategy.in_place,
        ready_within=strategy.ready_within,
        grace=GRACE if strategy.grace is None else strategy.grace,
    )


def arranged(slots: Sequence[Slot], zones: Mapping[int, str]) -> tuple[Slot, ...]:
    """The slots in the order of Swarm's own: each that of the zone in which Swarm's has its task, where one is left."""
    left = list(slots)
    found: dict[int, Slot] = {}
    for number, zone in sorted(zones.items()):
        slot = next((one for one in left if one.zone == zone), None)
        if slot is not None:
            left.remove(slot)
            found[number] = slot
    return tuple(found[number] if number in found else left.pop(0) for number in range(1, len(slots) + 1))


def _has_begun(service: AppService, rollout: Rollout) -> bool:
    """Whether Swarm was told of this rollout: what it takes back it takes with the word that it had been told."""
    if service.carried.get(ROLLOUT) == rollout.id:
        return True
    if not service.update.startswith("rollback") or not service.update_began:
        return False
    began = datetime.fromisoformat(service.update_began[:19] + "+00:00").timestamp()
    return began >= rollout.began / NS - UPDATE_AGE


def _why_back(seen: _Look, rollout: Rollout) -> str:
    """What Swarm says of it, and of the task that it is about."""
    failed = [task.said for task in seen.tasks if task.release == rollout.to.name and task.said]
    said = seen.service.update_said or "Swarm rolled it back"
    return f"{said}: {failed[-1]}" if failed else said
