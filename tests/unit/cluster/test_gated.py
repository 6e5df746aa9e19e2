"""How a replica of somebody's own app is taken away: in use until the last moment, then its own stop signal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker import APIClient
from docker.errors import APIError

from lab.clock import NS, FakeClock
from lab.cluster.compose import SERVICE
from lab.cluster.gated import LAST_USE, TOLD_WITHIN, GatedCluster
from lab.machine import labels
from lab.machine.labels import Identity
from lab.model import Replica, ReplicaState, Slot

IDENTITY = Identity(project="lab-x", run="r", owner="o", expires=1)
SLOT = Slot(name="a1", zone="a")


class Engine:
    """One replica with its gate, made from a pattern whose service has a stop signal and a time of its own."""

    def __init__(self, stop: str, clock: FakeClock) -> None:
        self.clock, self.stop = clock, stop
        self.acts: list[tuple[float, str, str]] = []
        self.gate = "running"
        self.hooks: dict[str, str] = {}
        """What the template's labels say of them."""
        self.gate_says = "now"
        self._said: SimpleQueue[bytes] = SimpleQueue()
        self.hook_ends_with: int | None = 0
        """None: it goes on and on."""

    def _labels(self, role: str, **more: str) -> dict[str, str]:
        own = {labels.SLOT: "a1", labels.ZONE: "a", labels.RELEASE: "v1", labels.REPLICA: "a1-1"}
        return {**IDENTITY.labels(role), **own, labels.GENERATION: "1", **more}

    def containers(self, **asked: Any) -> list[dict[str, Any]]:
        if any(one.endswith("=pattern") for one in asked["filters"]["label"]):
            return [{"Id": "pattern"}]
        app = {"Id": "app", "Names": ["/lab-x-a1-1.e1"], "State": "running", "Labels": self._labels("app")}
        gate = {"Id": "gate", "Names": ["/lab-x-a1-1.gate.e1"], "State": self.gate, "Labels": self._labels("gate")}
        return [app, gate]

    def inspect_container(self, container: str) -> dict[str, Any]:
        role = "pattern" if container == "pattern" else "app"
        more = {labels.PORT: "80", labels.STOP: self.stop, SERVICE: "web", **self.hooks} if role == "pattern" else {}
        return {
            "Id": "pattern" if role == "pattern" else "app",
            "Name": "/lab-x-a1-1.e1",
            "Image": "i",
            "Path": "/bin/sh",
            "State": {"Running": True, "Status": "running", "Pid": 77},
            "Config": {"Labels": self._labels(role, **more), "StopSignal": "SIGINT", "StopTimeout": 3},
        }

    def inspect_image(self, _image: str) -> dict[str, Any]:
        return {"Config": {}}

    def top(self, _container: str, _args: str) -> dict[str, Any]:
        return {"Processes": [["77", "node"], ["78", "worker"]]}

    def exec_create(self, _container: str, command: list[str], **_: Any) -> dict[str, str]:
        self.acts.append((round(self.clock.now() / NS, 2), "app", " ".join(command)))
        return {"Id": "hook"}

    def exec_start(self, _: str, **__: Any) -> bytes:
        return b""

    def attach(self, _container: str, **_: Any) -> Iterator[bytes]:
        if self.gate_says == "gone":
            raise APIError("gone", response=cast(Any, SimpleNamespace(status_code=409)))
        if self.gate_says == "deaf to listeners":
            raise AttributeError("channel")
        return self._words()

    def _words(self) -> Iterator[bytes]:
        yield self._said.get()

    def exec_inspect(self, _: str) -> dict[str, Any]:
        return {"Running": self.hook_ends_with is None, "ExitCode": self.hook_ends_with}

    def kill(self, container: str, signal: str) -> None:
        who = "gate" if container.endswith(".gate.e1") else "app"
        self.acts.append((round(self.clock.now() / NS, 2), who, signal))
        if who == "gate" and signal == "SIGTERM" and self.gate_says == "now":
            self._said.put(b"now\n")


def made(stop: str) -> tuple[GatedCluster, Engine, FakeClock]:
    clock = FakeClock()
    engine = Engine(stop, clock)
    return GatedCluster(cast(APIClient, engine), project="lab-x", slots=[SLOT], epoch=1, clock=clock), engine, clock


def only(cluster: GatedCluster) -> Replica:
    [one] = cluster.replicas()
    return one


def test_its_app_gets_its_own_signal_while_requests_are_in_it() -> None:
    """It has its slot again for a moment; once its gate says that it is time, its app is told, and only once."""
    cluster, engine, clock = made("at_once")
    leaver = only(cluster)
    assert cluster.signal(leaver, "SIGTERM")
    assert cluster.stop_of(leaver) is None
    clock.sleep(LAST_USE / 2)
    cluster.replicas()
    assert engine.acts == [(0.0, "gate", "SIGUSR2")]
    clock.sleep(LAST_USE / 2)
    cluster.replicas()
    assert engine.acts[1:] == [(LAST_USE, "gate", "SIGTERM"), (LAST_USE, "app", "SIGINT")]
    stop = cluster.stop_of(leaver)
    assert stop is not None
    assert (stop.service, stop.signal, stop.grace, stop.process) == ("web", "SIGINT", 3.0, "node")
    assert (stop.at, stop.heard) == (int(LAST_USE * NS), int(LAST_USE * NS))
    clock.sleep(5)
    cluster.replicas()
    assert len(engine.acts) == 3
    assert cluster.grace == 3 + TOLD_WITHIN


def test_the_lenient_way_waits_for_the_gate() -> None:
    """Its app is told only when its gate has ended: all is answered by then."""
    cluster, engine, clock = made("after_answers")
    assert cluster.signal(only(cluster), "SIGTERM")
    clock.sleep(5)
    cluster.replicas()
    assert engine.acts == [(0.0, "gate", "SIGTERM")]
    engine.gate = "exited"
    assert cluster.stop_of(only(cluster)) is None
    cluster.replicas()
    assert engine.acts[1:] == [(5.0, "app", "SIGINT")]


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGUSR1"])
def test_other_signals_go_where_they_went(signal: str) -> None:
    """A kill to the app, an entry to its gate."""
    cluster, engine, _ = made("at_once")
    assert cluster.signal(only(cluster), signal)
    assert engine.acts == [(0.0, "app" if signal == "SIGKILL" else "gate", signal)]


@pytest.mark.parametrize("gate", ["silent", "deaf to listeners"])
def test_an_app_whose_gate_says_nothing_is_told_all_the_same(gate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a time in which it surely has left."""
    monkeypatch.setattr("lab.cluster.gated.SAID_WITHIN", 0.05)
    cluster, engine, clock = made("at_once")
    engine.gate_says = gate
    cluster.signal(only(cluster), "SIGTERM")
    clock.sleep(LAST_USE)
    cluster.replicas()
    assert [act[1:] for act in engine.acts] == [("gate", "SIGUSR2"), ("gate", "SIGTERM"), ("app", "SIGINT")]


def test_an_app_whose_gate_has_ended_is_told_at_once() -> None:
    """All is answered then."""
    cluster, engine, clock = made("at_once")
    engine.gate_says = "gone"
    cluster.signal(only(cluster), "SIGTERM")
    clock.sleep(LAST_USE)
    cluster.replicas()
    assert engine.acts[-1][1:] == ("app", "SIGINT")


PREPARES = {labels.PRE_STOP: json.dumps([{"command": ["./flush"]}, {"command": ["./leave"]}])}


def test_what_prepares_a_stop_is_run_before_the_signal() -> None:
    """One after another, while users still come to it."""
    cluster, engine, clock = made("at_once")
    engine.hooks, engine.hook_ends_with = PREPARES, None
    cluster.signal(only(cluster), "SIGTERM")
    clock.sleep(1)
    cluster.replicas()
    assert [act[1:] for act in engine.acts] == [("app", "./flush"), ("gate", "SIGUSR2")]
    engine.hook_ends_with = 0
    for _ in range(3):
        cluster.replicas()
    assert [act[1:] for act in engine.acts[2:]] == [("app", "./leave"), ("gate", "SIGTERM"), ("app", "SIGINT")]
    stop = cluster.stop_of(only(cluster))
    assert stop is not None
    assert stop.hook == ""


@pytest.mark.parametrize(("ends_with", "said"), [(3, "pre_stop `./flush` ended with 3"), (None, "")])
def test_what_does_not_prepare_it_stops_it_all_the_same(ends_with: int | None, said: str) -> None:
    """After the service's own time at the latest; what failed is told."""
    cluster, engine, clock = made("at_once")
    engine.hooks, engine.hook_ends_with = PREPARES, ends_with
    cluster.signal(only(cluster), "SIGTERM")
    clock.sleep(3)
    for _ in range(2):
        cluster.replicas()
    assert engine.acts[-1][1:] == ("app", "SIGINT")
    assert "./leave" not in [act[2] for act in engine.acts]
    stop = cluster.stop_of(only(cluster))
    assert stop is not None
    assert stop.hook == said


def test_a_replica_whose_start_was_not_finished_counts_as_dead() -> None:
    """As Compose says of it that it did not start; not one that serves already."""
    for has_entered, state in ((False, ReplicaState.DEAD), (True, ReplicaState.RUNNING)):
        cluster, engine, _ = made("at_once")
        engine.hooks = {labels.POST_START: json.dumps([{"command": ["./warm", "up"]}])}
        engine.hook_ends_with = None
        one = only(cluster)
        cluster._after_start.begin(one.container, "lab-x-a1-1.e1", json.loads(engine.hooks[labels.POST_START]))
        assert only(cluster).state is ReplicaState.RUNNING
        if has_entered:
            cluster.signal(one, "SIGUSR1")
        engine.hook_ends_with = 7
        assert only(cluster).state is state
        assert cluster.trouble_of(one) == "post_start `./warm up` ended with 7"
