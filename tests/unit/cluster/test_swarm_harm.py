"""Strikes on a swarm: a task by its own node's engine, a node by whoever runs it, and what dies with its node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from lab.chaos.faults import FAULTS
from lab.clock import FakeClock
from lab.cluster.harm import Activate, Drain, Send, Start
from lab.cluster.swarm_events import NodeWatch
from lab.cluster.swarm_harm import SwarmHarm
from lab.errors import LabError
from lab.machine import labels
from lab.machine.engine import NotFound
from lab.machine.swarm import Swarm, node_of
from lab.machine.yard import YardNode
from lab.model import Role, Slot
from lab.record import ContainerEvent

SLOTS = (Slot(name="a1", zone="a"), Slot(name="b1", zone="b"))
OWN = {"lab.project": "lab-x", "lab.run": "r", "lab.owner": "o", "lab.expires": "9999999999"}
NOW = "2026-11-30T12:00:00+00:00"


class Engine:
    """An engine with some containers; one that is `gone` refuses every connection."""

    def __init__(self, **containers: Mapping[str, Any]) -> None:
        self.there: dict[str, dict[str, Any]] = {
            name: {
                "Id": name,
                "Name": f"/{name}",
                "Config": {"Labels": dict(carried)},
                "State": {"Running": True, "Paused": False},
                "HostConfig": {},
                "NetworkSettings": {"Networks": {}},
            }
            for name, carried in containers.items()
        }
        self.is_gone = False
        self.words: list[dict[str, Any]] = []
        self.kills: list[str] = []

    def _answer(self) -> None:
        if self.is_gone:
            raise ConnectionRefusedError("gone")

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        self._answer()
        running = {name: one for name, one in self.there.items() if one["State"]["Running"]}
        return [{"Id": name, "Labels": one["Config"]["Labels"]} for name, one in running.items()]

    def inspect_container(self, name: str) -> dict[str, Any]:
        self._answer()
        if name not in self.there:
            raise NotFound(name)
        return self.there[name]

    def kill(self, name: str, signal: str) -> None:
        self.inspect_container(name)["State"]["Running"] = False
        self.kills.append(f"{name} {signal}")
        self.words += [{"Action": word, "Actor": {"ID": name}} for word in ("kill", "die")]

    def start(self, name: str) -> None:
        self.inspect_container(name)["State"]["Running"] = True

    def info(self) -> dict[str, Any]:
        self._answer()
        return {"SystemTime": NOW}

    def version(self) -> dict[str, Any]:
        self._answer()
        return {"Components": [{"Name": "Engine"}]}

    def events(self, **_: Any) -> list[dict[str, Any]]:
        self._answer()
        return self.words

    def close(self) -> None:
        pass


def app(number: int, task: str) -> dict[str, str]:
    name = f"lab-x_app.{number}.{task}"
    swarms = {"com.docker.swarm.service.name": "lab-x_app", "com.docker.swarm.task.name": name}
    return {**OWN, **swarms, labels.ROLE: "app", labels.RELEASE: "v1"}


class Ground:
    """Two nodes of a yard with a task each, and a stranger's container on the first."""

    def __init__(self) -> None:
        self.engines = {
            "id1": Engine(task1=app(1, "aaaaaaaaaa"), stranger={"lab.project": "lab-x"}),
            "id2": Engine(task2=app(2, "bbbbbbbbbb")),
        }
        self.outside = Engine(outer1={}, outer2={})
        self.availability = {"id1": "active", "id2": "active"}
        yard = [
            YardNode(name=f"n{n}", zone=zone, container=f"outer{n}", is_running=True, socket=f"/s{n}", doors={})
            for n, zone in ((1, "a"), (2, "b"))
        ]
        addresses = {name: f"unix:///{name}" for name in self.engines}
        self.swarm = Swarm(addresses, outside=cast("Any", self.outside), yard=yard)
        self.swarm.client = lambda node: cast("Any", self.engines[node])  # type: ignore[method-assign]

        def ask(_doing: str, act: Callable[[Any], Any], *, at: str = "") -> Any:
            return act(self)

        self.swarm.ask = ask  # type: ignore[method-assign, assignment]
        self.harm = SwarmHarm(self.swarm, project="lab-x", slots=lambda: SLOTS)

    # what a manager says

    def nodes(self) -> list[dict[str, Any]]:
        return [self.inspect_node(name) for name in self.engines]

    def inspect_node(self, name: str) -> dict[str, Any]:
        number = name[-1]
        return {
            "ID": name,
            "Version": {"Index": 1},
            "Description": {"Hostname": f"n{number}", "Engine": {"EngineVersion": "26"}},
            "Spec": {"Labels": {"zone": "ab"[int(number) - 1]}, "Availability": self.availability[name]},
            "Status": {"State": "ready"},
            "ManagerStatus": {"Leader": number == "1"},
        }

    def update_node(self, name: str, _: int, spec: Mapping[str, Any]) -> None:
        self.availability[name] = spec["Availability"]

    def lose(self, number: int) -> None:
        """A node dies, and its engine with it."""
        assert self.harm.do(f"outer{number}", Send(signal="SIGKILL"))
        self.engines[f"id{number}"].is_gone = True


@pytest.fixture
def ground() -> Ground:
    return Ground()


def test_tasks_and_nodes_may_be_struck_and_nobody_elses(ground: Ground) -> None:
    """A task has its slot and the zone of its node; the node that leads says so."""
    found = {one.name: one for one in ground.harm.victims()}
    assert set(found) == {"1-aaaaaa", "2-bbbbbb", "n1", "n2"}
    assert (found["2-bbbbbb"].slot, found["2-bbbbbb"].zone, found["2-bbbbbb"].release) == ("b1", "b", "v1")
    assert (found["n1"].role, found["n1"].zone, found["n1"].leads, found["n2"].leads) == (Role.NODE, "a", True, False)


def test_a_task_is_struck_by_its_own_nodes_engine_and_proved_by_its_words(ground: Ground) -> None:
    """Another node's engine knows nothing of it."""
    since = ground.harm.mark()
    assert since.count("=") == 3  # each engine's own clock
    assert ground.harm.do("task2", Send(signal="SIGKILL"))
    assert ground.engines["id2"].kills == ["task2 SIGKILL"]
    assert "kill" in ground.harm.said("task2", since)
    assert not ground.harm.do("task2", Start()), "Swarm starts another in its place"


def test_what_ran_on_a_node_that_was_killed_is_dead_though_nobody_there_says_so(ground: Ground) -> None:
    """The node's own death proves it; its tasks are no longer among those that may be struck."""
    ground.harm.victims()
    since = ground.harm.mark()
    ground.lose(2)
    assert ground.harm.do("task2", Send(signal="SIGKILL"))
    assert ground.harm.said("task2", since) == ("kill", "die")
    assert "die" in ground.harm.said("outer2", since)
    assert [one.name for one in ground.harm.victims() if one.role is Role.APP] == ["1-aaaaaa"]
    dead = ground.harm.read("outer2")
    assert dead is not None
    assert not dead.is_running


def test_a_node_is_started_again_once(ground: Ground) -> None:
    """As the undoing of its death."""
    victim = next(one for one in ground.harm.victims() if one.name == "n2")
    ground.lose(2)
    [undo] = FAULTS["kill"].undo(victim)
    assert ground.harm.do("outer2", undo)
    assert not ground.harm.do("outer2", undo)


def test_a_drained_node_is_active_again_afterwards(ground: Ground) -> None:
    """Proved by what the swarm itself says of it; doing it twice is doing it once."""
    since = ground.harm.mark()
    assert ground.harm.said("outer2", since) == []
    assert ground.harm.do("outer2", Drain())
    assert ground.availability["id2"] == "drain"
    assert ground.harm.said("outer2", since) == ["drain"]
    assert not ground.harm.do("outer2", Drain())
    assert ground.harm.do("outer2", Activate())
    assert ground.availability["id2"] == "active"


def test_a_machine_of_somebodys_own_is_drained_but_never_killed(ground: Ground) -> None:
    """The lab has no way to start it again."""
    ground.swarm._yard = {}
    with pytest.raises(LabError, match="a machine that the lab can't stop"):
        ground.harm.do("id2", Send(signal="SIGKILL"))
    assert ground.harm.do("id2", Drain())


def test_events_have_the_labs_names_and_those_of_a_dead_node_are_made_good(ground: Ground) -> None:
    """What started there and did not end is dead when the node is; what Swarm clears away is no news."""
    told: list[Any] = []
    node = node_of(ground.inspect_node("id2"))
    watch = NodeWatch(
        "lab-x", told.append, address="unix:///nowhere", node=node, runs=bool, slots=lambda: SLOTS, clock=FakeClock()
    )

    def said(action: str, container: str, number: int, task: str) -> ContainerEvent | None:
        event = {"Action": action, "Actor": {"ID": container, "Attributes": app(number, task)}, "timeNano": 5}
        return watch._named(event, 7)

    assert said("start", "gone", 1, "cccccccccc") is not None
    assert said("die", "gone", 1, "cccccccccc") is not None
    assert said("destroy", "gone", 1, "cccccccccc") is None
    started = said("start", "task2", 2, "bbbbbbbbbb")
    assert started is not None
    assert (started.name, started.slot, started.zone) == ("2-bbbbbb", "b1", "b")
    watch._bury()
    watch._bury()
    assert [(one.action, one.name, one.exit_code) for one in told] == [("die", "2-bbbbbb", 137)]
