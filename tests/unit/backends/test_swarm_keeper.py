"""What the desk wants goes to Swarm as it is, and what Swarm makes of it is told: on a manager that does as told."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from lab import record
from lab.backends.swarm_keeper import SwarmKeeper, arranged
from lab.clock import SYSTEM_CLOCK
from lab.cluster import swarm_change
from lab.cluster.swarm_stack import SLOTS as SLOTS_LABEL
from lab.cluster.swarm_tasks import SwarmReplicas
from lab.deploy.desk import Desk
from lab.deploy.rollout import Ending, Rolling, RolloutRequest, first_desired
from lab.errors import LabFault
from lab.machine import labels
from lab.machine.engine import NotFound
from lab.machine.swarm import Swarm
from lab.model import Release, Slot
from lab.state.file import FileState

SLOTS = tuple(Slot(name=f"{zone}1", zone=zone) for zone in "abc")
V1, V2 = Release(name="v1", image="shop:v1"), Release(name="v2", image="shop:v2")
NODE_OF = {1: "c", 2: "a", 3: "b"}
"""Swarm places as it likes."""


class Manager:
    """A manager that replaces one task at each `turn`; a release that is `sick` never gets ready."""

    def __init__(self) -> None:
        container = {"Image": "shop:v1", "Labels": {labels.RELEASE: "v1"}, "Env": ["LAB_RELEASE=v1"]}
        self.spec: dict[str, Any] = {
            "Name": "lab-x_app",
            "Labels": {},
            "TaskTemplate": {"ContainerSpec": container},
            "Mode": {"Replicated": {"Replicas": 3}},
        }
        self.previous: dict[str, Any] | None = None
        self.version, self.update, self.sick, self.made = 1, "", "", 0
        self.tasks_by_number: dict[int, dict[str, Any]] = {}
        self.ended: list[dict[str, Any]] = []
        self.is_gone = False
        for number in NODE_OF:
            self._make(number)

    @property
    def wanted(self) -> str:
        return str(self.spec["TaskTemplate"]["ContainerSpec"]["Labels"][labels.RELEASE])

    def turn(self) -> None:
        """One task goes to what is wanted, or all is over."""
        replicas = self.spec["Mode"]["Replicated"]["Replicas"]
        for number in [one for one in self.tasks_by_number if one > replicas]:
            self._end(number)
        for number in range(1, replicas + 1):
            task = self.tasks_by_number.get(number)
            if task is None:
                self._make(number)
                return
            if self._release(task) != self.wanted:
                if self.wanted == self.sick:
                    self._roll_back("rollback_started", "update rolled back due to failure of task abc")
                    return
                self._end(number)
                self._make(number)
                return
        if self.update in {"updating", "rollback_started"}:
            self.update = {"updating": "completed", "rollback_started": "rollback_completed"}[self.update]

    def _release(self, task: Mapping[str, Any]) -> str:
        return str(task["Spec"]["ContainerSpec"]["Labels"][labels.RELEASE])

    def _make(self, number: int) -> None:
        self.made += 1
        self.tasks_by_number[number] = {
            "ID": f"task{self.made:04d}",
            "Slot": number,
            "NodeID": NODE_OF[number],
            "DesiredState": "running",
            "Status": {"State": "running", "ContainerStatus": {"ContainerID": f"container{self.made}"}},
            "Spec": {"ContainerSpec": copy.deepcopy(self.spec["TaskTemplate"]["ContainerSpec"])},
        }

    def _end(self, number: int) -> None:
        task = self.tasks_by_number.pop(number)
        self.ended.append({**task, "DesiredState": "shutdown", "Status": {**task["Status"], "State": "shutdown"}})

    def _roll_back(self, state: str, said: str = "") -> None:
        assert self.previous is not None
        self.spec, self.previous, self.update, self.said = self.previous, None, state, said
        self.version += 1

    # what the lab asks

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {
                "ID": zone,
                "Description": {"Hostname": zone, "Engine": {"EngineVersion": "26"}},
                "Spec": {"Labels": {"zone": zone}, "Availability": "active"},
                "Status": {"State": "ready"},
            }
            for zone in "abc"
        ]

    def tasks(self, filters: object) -> list[dict[str, Any]]:  # noqa: ARG002
        return [*self.ended, *self.tasks_by_number.values()]

    def inspect_service(self, name: str) -> dict[str, Any]:
        if self.is_gone:
            raise NotFound(name)
        told = {"ID": "s", "Version": {"Index": self.version}, "Spec": copy.deepcopy(self.spec)}
        began = SYSTEM_CLOCK.wall().isoformat()
        status = {"State": self.update, "StartedAt": began, "Message": getattr(self, "said", "")}
        return {**told, "UpdateStatus": status} if self.update else told

    def update_service(self, _: str, version: int, **spec: Any) -> None:
        assert version == self.version
        self.previous = copy.deepcopy(self.spec)
        self.spec = {
            "Name": spec["name"],
            "Labels": spec["labels"],
            "TaskTemplate": spec["task_template"],
            "Mode": spec["mode"],
        }
        is_other = self.spec["TaskTemplate"] != self.previous["TaskTemplate"]
        self.update, self.version = "updating" if is_other else self.update, self.version + 1

    def roll_back(self, service: str, version: int, spec: object) -> None:  # noqa: ARG002
        assert version == self.version
        self._roll_back("rollback_started", "manually requested rollback")


class Ground:
    """A keeper in office, its desk, its manager and what was told."""

    def __init__(self, state: FileState) -> None:
        self.manager = Manager()
        swarm = Swarm({"a": "unix:///a"})
        swarm.client = lambda node: cast("Any", self.manager)  # type: ignore[method-assign]  # noqa: ARG005
        self.events: list[record.AnyEvent] = []
        self.app = SwarmReplicas(swarm, project="lab-x", slots=SLOTS)
        self.desk = Desk(state, "lab-x", clock=SYSTEM_CLOCK)
        self.desk.begin(first_desired(V1, SLOTS))
        balancer = cast("Any", None)
        self.keeper = SwarmKeeper(swarm, self.app, balancer, state, "lab-x", self.events.append, holder="one")
        self.keeper.ROUND = self.keeper.IDLE_ROUND = 0.0

    def settle(self, *, turns: int = 60) -> None:
        """Look and let Swarm go on, until the desk says that all is as wanted."""
        left = iter(range(turns))

        def is_over() -> bool:
            next(left)
            self.manager.turn()
            return self.desk.is_settled()

        self.keeper.run_until(is_over)

    def steps(self, action: str) -> list[record.Step]:
        return [one for one in self.events if isinstance(one, record.Step) and one.action == action]

    @property
    def ending(self) -> tuple[Ending | None, str]:
        rollout = self.desk.read().desired.rollout
        assert rollout is not None
        return rollout.ending, rollout.why

    def releases(self) -> list[str]:
        return sorted(one.release for one in self.app.replicas())


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    with FileState(tmp_path / "state.db") as state:
        made = Ground(state)
        monkeypatch.setattr(swarm_change, "roll_service_back", lambda manager, *rest: manager.roll_back(*rest))
        yield made


def test_slots_are_named_by_where_swarm_has_put_its_tasks(ground: Ground) -> None:
    """Once, when all serve for the first time; the service says so to other processes, and no task is changed by it."""
    ground.settle()
    assert {one.slot: one.zone for one in ground.app.replicas()} == {"a1": "a", "b1": "b", "c1": "c"}
    assert ground.manager.spec["Labels"][SLOTS_LABEL] == "c1:c,a1:a,b1:b"
    assert [slot.name for slot in ground.desk.read().desired.slots] == ["c1", "a1", "b1"]
    assert ground.manager.made == 3


def test_an_upgrade_is_swarms_own(ground: Ground) -> None:
    """Each task that comes and goes is told once; it ends when Swarm says so and all serve the new release."""
    ground.settle()
    ground.desk.roll(V2, Rolling(), id="r1", by="test")
    ground.settle()
    assert (ground.releases(), ground.ending[0]) == (["v2"] * 3, Ending.DONE)
    assert [one.release for one in ground.steps("enter")] == ["v1"] * 3 + ["v2"] * 3
    assert {one.why for one in ground.steps("enter")[3:]} == {"upgrade"}
    assert sorted(one.slot for one in ground.steps("remove")) == ["a1", "b1", "c1"]
    assert ground.desk.read().desired.release == V2


def test_a_release_that_swarm_rolls_back_is_rolled_back(ground: Ground) -> None:
    """With Swarm's own words for why; nobody asks it twice."""
    ground.settle()
    ground.manager.sick = "v2"
    ground.desk.roll(V2, Rolling(), id="r1", by="test")
    ground.settle()
    ending, why = ground.ending
    assert (ground.releases(), ending) == (["v1"] * 3, Ending.ROLLED_BACK)
    assert "due to failure of task abc" in why
    assert ground.desk.read().desired.release == V1


def test_a_person_who_wants_the_old_release_back_gets_it_by_swarms_rollback(ground: Ground) -> None:
    """In the midst of the update."""
    ground.settle()
    ground.desk.roll(V2, Rolling(), id="r1", by="test")
    ground.keeper.run_until(lambda: ground.manager.wanted == "v2")
    ground.manager.turn()
    assert ground.releases() == ["v1", "v1", "v2"]
    ground.desk.ask(RolloutRequest.ABORT)
    ground.settle()
    assert (ground.releases(), ground.ending[0]) == (["v1"] * 3, Ending.ABORTED)


def test_scaling_in_leaves_the_slots_that_swarm_leaves(ground: Ground) -> None:
    """Which those are is Swarm's to choose, and then what is wanted."""
    ground.settle()
    ground.desk.scale(("a1", "b1"))
    ground.settle()
    assert len(ground.releases()) == 2
    assert set(ground.desk.read().desired.active) == {one.slot for one in ground.app.replicas()} == {"a1", "c1"}


def test_a_task_that_died_is_replaced_by_swarm_and_told(ground: Ground) -> None:
    """No step says that it was told to leave, for it was not."""
    ground.settle()
    dead = ground.manager.tasks_by_number.pop(1)
    ground.manager.ended.append({**dead, "DesiredState": "shutdown", "Status": {"State": "failed"}})
    ground.keeper.run_until(iter([False, True]).__next__)
    assert not ground.desk.is_settled()
    ground.settle()
    assert ground.steps("enter")[-1].why == "replacement"
    assert ground.steps("drain") == ground.steps("remove") == []
    totals = [one.total for one in ground.events if isinstance(one, record.Serving)]
    assert totals[-2:] == [2, 3]


def test_a_service_that_is_gone_ends_the_run(ground: Ground) -> None:
    """Somebody removed it: what users meet after that says nothing of the app."""
    ground.settle()
    ground.manager.is_gone = True
    with pytest.raises(LabFault, match="the app's service is gone"):
        ground.keeper.run_until(iter([False, False, True]).__next__)


def test_slots_of_zones_that_got_fewer_go_to_whoever_is_left() -> None:
    """Swarm may place otherwise than the scenario says: every slot has a name all the same, and each name once."""
    assert [one.name for one in arranged(SLOTS, {1: "a", 2: "a", 3: "b"})] == ["a1", "c1", "b1"]
