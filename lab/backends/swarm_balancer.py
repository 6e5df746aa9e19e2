"""Who answers on a swarm, by Swarm's own word."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from lab.balancer.protocol import ReplicaAnswer
from lab.cluster.swarm_tasks import SwarmReplicas, slot_name, slots_from


class SwarmBalancer:
    """Who answers, by Swarm's word: a task is sent to once it is healthy."""

    def __init__(self, app: SwarmReplicas) -> None:
        self._app = app

    def holders(self, slots: Collection[str]) -> Mapping[str, ReplicaAnswer]:
        return {slot: answer for slot, answer in self._answers() if slot in slots}

    def replicas(self, names: Collection[str]) -> Mapping[str, ReplicaAnswer]:
        return {answer.replica: answer for _, answer in self._answers() if answer.replica in names}

    def requests(self) -> tuple[int, int] | None:
        """Nobody counts them here."""
        return None

    def _answers(self) -> list[tuple[str, ReplicaAnswer]]:
        slots = self._app.slots or slots_from(self._app.service())
        return [
            (slot_name(task.number, slots), ReplicaAnswer(replica=task.name, is_ready=True))
            for task in self._app.tasks()
            if task.serves
        ]
