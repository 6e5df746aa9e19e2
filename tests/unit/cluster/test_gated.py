"""How a replica of somebody's own app is taken away: in use until the last moment, then its own stop signal."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from docker import APIClient

from lab.clock import NS, FakeClock
from lab.cluster.compose import SERVICE
from lab.cluster.gated import LAST_USE, LOOKS_EVERY, SETTLES, TAKES_IN_WITHIN, TOLD_WITHIN, GatedCluster
from lab.cluster.unread import has_unread
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
        self.unread = 0
        """Looks at the kernel's queues that find something there."""
        self.late = 0
        """Looks that find the gate still there."""
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

    def exec_create(self, container: str, command: list[str], **_: Any) -> dict[str, str]:
        if container.endswith(".gate.e1"):
            return {"Id": "queues"}
        self.acts.append((round(self.clock.now() / NS, 2), "app", " ".join(command)))
        return {"Id": "hook"}

    def exec_start(self, what: str, **_: Any) -> bytes:
        if what == "queues" and self.late:
            self.late -= 1
            return b".a1-1.sock\na1.sock\n"
        if what == "queues" and self.unread:
            self.unread -= 1
            return b"  1: 00000000:0050 00000000:0000 0A 00000000:00000002 00:00000000"
        return b""

    def exec_inspect(self, _: str) -> dict[str, Any]:
        return {"Running": self.hook_ends_with is None, "ExitCode": self.hook_ends_with}

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


def test_a_busy_app_is_told_only_when_it_has_taken_in_what_was_sent() -> None:
    """What nobody accepted yet nobody could answer after the signal; but no app is waited for without end."""
    for unread, told in ((3, LAST_USE + SETTLES + 3 * LOOKS_EVERY), (1000, LAST_USE + SETTLES + TAKES_IN_WITHIN)):
        cluster, engine, clock = made("at_once")
        engine.unread = unread
        cluster.signal(only(cluster), "SIGTERM")
        clock.sleep(LAST_USE)
        cluster.replicas()
        assert engine.acts[-1] == (round(told, 2), "app", "SIGINT")


def test_an_app_is_told_only_when_its_gate_takes_no_new_request() -> None:
    """Whatever a busy machine makes of the moment in between."""
    cluster, engine, clock = made("at_once")
    engine.late = 2
    cluster.signal(only(cluster), "SIGTERM")
    clock.sleep(LAST_USE)
    cluster.replicas()
    assert engine.acts[-1] == (round(LAST_USE + SETTLES + 2 * LOOKS_EVERY, 2), "app", "SIGINT")


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


@pytest.mark.parametrize(
    ("line", "is_so"),
    [
        ("0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:0", False),
        ("0: 00000000:1F40 00000000:0000 0A 00000000:00000001 00:0", True),
        ("0: 00000000000000000000000000000000:1F40 00000000000000000000000000000000:0000 0A 00000000:00000001", True),
        ("1: 0100007F:1F40 0100007F:C350 01 00000000:0000000C 00:0", True),
        ("1: 0100007F:C350 0100007F:1F40 01 00000000:0000000C 00:0", False),
        ("1: 0100007F:1F40 0100007F:C350 08 00000000:00000001 00:0", False),
        ("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", False),
    ],
)
def test_what_an_app_has_not_taken_in_is_read_from_the_kernels_tables(line: str, is_so: bool) -> None:
    """Whoever waits to be accepted, and unread bytes at its own port; not the end of a connection (CLOSE_WAIT)."""
    assert has_unread(8000, line) is is_so
