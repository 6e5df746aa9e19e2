"""Which swarm is meant, and which is not fit for a cluster: each said with the way out, before anything is made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests
from docker.errors import APIError

from lab.clock import NS, FakeClock
from lab.errors import EngineError, UsageError
from lab.machine import swarm as swarm_module
from lab.machine.swarm import LEADS_WITHIN, Swarm, check_swarm, find_swarm


def node(name: str, zone: str = "", *, version: str = "26", state: str = "ready", to: str = "active") -> dict[str, Any]:
    return {
        "ID": name,
        "Description": {"Hostname": name, "Engine": {"EngineVersion": version}},
        "Spec": {"Labels": {"zone": zone} if zone else {}, "Availability": to},
        "Status": {"State": state, "Addr": "10.0.0.1"},
        "ManagerStatus": {"Leader": name == "n1"},
    }


class Manager:
    """A client of a node's engine that answers as it is told."""

    def __init__(self, nodes: list[dict[str, Any]], *, fails: Exception | None = None, times: int = 10**6) -> None:
        self.told, self.fails, self.times, self.asked = nodes, fails, times, 0

    def nodes(self) -> list[dict[str, Any]]:
        self.asked += 1
        if self.fails is not None and self.asked <= self.times:
            raise self.fails
        return self.told

    def close(self) -> None:
        pass


def swarm_of(clients: dict[str, Manager | None], clock: FakeClock | None = None) -> Swarm:
    """A swarm whose engines are these; None: it does not answer."""
    made = Swarm({name: f"unix:///{name}" for name in clients}, clock=clock or FakeClock())
    made.client = lambda node: cast("Any", clients[node])  # type: ignore[method-assign]
    return made


NODES = [node("n1", "a"), node("n2", "b"), node("n3", "c")]


def test_another_manager_is_asked_where_one_is_gone() -> None:
    """A connection that is refused says nothing of the swarm."""
    gone = Manager(NODES, fails=requests.ConnectionError("refused"))
    swarm = swarm_of({"n1": None, "n2": gone, "n3": Manager(NODES)})
    assert [one.zone for one in swarm.nodes()] == ["a", "b", "c"]
    assert swarm.manager == "unix:///n3"


def test_a_swarm_without_a_leader_is_waited_for() -> None:
    """It elects another; whoever asks meanwhile asks again, and gives up after a time with its last word."""
    leaderless = APIError("500", explanation="rpc error: The swarm does not have a leader")
    clock = FakeClock()
    assert len(swarm_of({"n1": Manager(NODES, fails=leaderless, times=3)}, clock).nodes()) == 3
    began = clock.now()
    with pytest.raises(EngineError, match="does not have a leader"):
        swarm_of({"n1": Manager(NODES, fails=leaderless)}, clock).nodes()
    assert clock.now() - began >= LEADS_WITHIN * NS


def test_what_a_manager_refuses_is_not_asked_twice() -> None:
    """Another manager would say the same."""
    manager = Manager(NODES, fails=APIError("400", explanation="invalid"))
    with pytest.raises(EngineError, match="invalid"):
        swarm_of({"n1": manager, "n2": Manager(NODES)}).nodes()
    assert manager.asked == 1


@pytest.mark.parametrize(
    ("nodes", "zones", "told"),
    [
        ([node("n1", "a"), node("n2", "b", version="25")], ("a", "b"), "different versions: n1 26, n2 25"),
        ([node("n1", "a")], ("a", "b"), "no node that is ready is in zone b: n1 in a"),
        ([node("n1", "a"), node("n2", "b", state="down")], ("a", "b"), "in zone b"),
        ([node("n1", "a"), node("n2", "b", to="drain")], ("a", "b"), "in zone b"),
        ([node("n1")], ("a",), "n1 in no zone"),
        ([node("n1", "a"), node("n9", "b")], ("a", "b"), "the engines of n9 are not reached"),
    ],
)
def test_a_swarm_that_is_not_fit_is_refused(nodes: list[dict[str, Any]], zones: tuple[str, ...], told: str) -> None:
    """Before anything is made there: exit 2 and what would make it fit."""
    clients: dict[str, Manager | None] = {one["ID"]: Manager(nodes) for one in nodes}
    if "n9" in clients:
        clients["n9"] = None
    with pytest.raises(UsageError, match=told) as refused:
        check_swarm(swarm_of(clients), zones)
    assert refused.value.hint


def test_a_swarm_that_is_fit_gives_the_nodes_of_the_zones() -> None:
    """In the zones' order; a node of another zone is none of them."""
    clients: dict[str, Manager | None] = {one["ID"]: Manager(NODES) for one in NODES}
    assert [one.name for one in check_swarm(swarm_of(clients), ("b", "a"))] == ["n2", "n1"]


@pytest.mark.parametrize(
    ("swarm", "told"),
    [
        ({"LocalNodeState": "inactive", "ControlAvailable": False}, "in no swarm"),
        (
            {"LocalNodeState": "active", "ControlAvailable": False, "NodeID": "n", "RemoteManagers": [{"Addr": "9:1"}]},
            "is a worker",
        ),
    ],
)
def test_an_engine_that_leads_no_swarm_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, swarm: dict[str, Any], told: str
) -> None:
    """It never begins one that nobody asked for."""
    begun: list[str] = []
    engine = SimpleNamespace(info=lambda: {"Swarm": swarm}, init_swarm=begun.append)
    monkeypatch.setattr(swarm_module, "find_yard", lambda *_: ())
    monkeypatch.setenv("DOCKER_HOST", "unix:///somewhere")
    with pytest.raises(UsageError, match=told) as refused:
        find_swarm(cast("Any", engine), "no-yard")
    assert refused.value.hint
    assert begun == []


def test_with_init_an_engine_begins_a_swarm_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """On loopback alone, and only if it is in none."""
    state = {"LocalNodeState": "inactive", "ControlAvailable": False}

    def begin(advertise_addr: str) -> None:
        assert advertise_addr == "127.0.0.1"
        state.update(LocalNodeState="active", ControlAvailable=True, NodeID="n1")

    engine = SimpleNamespace(info=lambda: {"Swarm": state}, init_swarm=begin)
    monkeypatch.setattr(swarm_module, "find_yard", lambda *_: ())
    monkeypatch.setattr(swarm_module, "context_addresses", list)
    monkeypatch.setenv("DOCKER_HOST", "unix:///somewhere")
    assert find_swarm(cast("Any", engine), "no-yard", begins_one=True).addresses == {"n1": "unix:///somewhere"}
