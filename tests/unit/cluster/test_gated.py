"""How a replica of somebody's own app is taken away: in use until the last moment, then its own stop signal."""

from __future__ import annotations

from typing import Any, cast

import pytest
from docker import APIClient

from lab.clock import NS, FakeClock
from lab.cluster.compose import SERVICE
from lab.cluster.gated import LAST_USE, SETTLES, TOLD_WITHIN, GatedCluster
from lab.machine import labels
from lab.machine.labels import Identity
from lab.model import Replica, Slot

IDENTITY = Identity(project="lab-x", run="r", owner="o", expires=1)
SLOT = Slot(name="a1", zone="a")


class Engine:
    """One replica with its gate, made from a pattern whose service has a stop signal and a time of its own."""

    def __init__(self, stop: str, clock: FakeClock) -> None:
        self.clock, self.stop = clock, stop
        self.acts: list[tuple[float, str, str]] = []
        self.gate = "running"

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
        more = {labels.PORT: "80", labels.STOP: self.stop, SERVICE: "web"} if role == "pattern" else {}
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

    def kill(self, container: str, signal: str) -> None:
        who = "gate" if container.endswith(".gate.e1") else "app"
        self.acts.append((round(self.clock.now() / NS, 2), who, signal))


def made(stop: str) -> tuple[GatedCluster, Engine, FakeClock]:
    clock = FakeClock()
    engine = Engine(stop, clock)
    return GatedCluster(cast(APIClient, engine), project="lab-x", slots=[SLOT], epoch=1, clock=clock), engine, clock


def only(cluster: GatedCluster) -> Replica:
    [one] = cluster.replicas()
    return one


def test_its_app_gets_its_own_signal_while_requests_are_in_it() -> None:
    """It has its slot again for a moment; then its gate takes no new request, and soon after its app is told, once."""
    cluster, engine, clock = made("at_once")
    leaver = only(cluster)
    assert cluster.signal(leaver, "SIGTERM")
    assert cluster.stop_of(leaver) is None
    clock.sleep(LAST_USE / 2)
    cluster.replicas()
    assert engine.acts == [(0.0, "gate", "SIGUSR2")]
    clock.sleep(LAST_USE / 2)
    cluster.replicas()
    told = round(LAST_USE + SETTLES, 2)
    assert engine.acts[1:] == [(LAST_USE, "gate", "SIGTERM"), (told, "app", "SIGINT")]
    stop = cluster.stop_of(leaver)
    assert stop is not None
    assert (stop.service, stop.signal, stop.grace, stop.process) == ("web", "SIGINT", 3.0, "node")
    assert stop.at == int(LAST_USE * NS) + int(SETTLES * NS)
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
