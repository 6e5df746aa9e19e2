"""Only what is wholly this cluster's is ever struck, whatever stands beside it on the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

import pytest
import requests
from docker import APIClient

from lab.chaos.faults import FAULTS
from lab.chaos.monkey import choose_victim, is_opted_in
from lab.chaos.schedule import MonkeySettings
from lab.cluster import engine_harm
from lab.cluster.engine_harm import EngineHarm
from lab.cluster.harm import Limit
from lab.machine.engine import APIError
from lab.machine.labels import IDENTIFYING, Identity
from lab.model import Replica, ReplicaState

PROJECT = "lab-mine"
MINE = Identity(project=PROJECT, run="run", owner="host:1:1.00", expires=2_000_000_000)
SETTINGS = MonkeySettings(groups=("app/a", "balancer"), least_serving=1)
PICKS = 1000


@dataclass
class MeanEngine:
    """An engine that ignores every filter, so that nothing but the lab's own look keeps strangers safe."""

    there: dict[str, dict[str, Any]]
    killed: list[str] = field(default_factory=list)

    def containers(self, **_: object) -> list[dict[str, str]]:
        return [{"Id": one} for one in self.there]

    def inspect_container(self, container: str) -> dict[str, Any]:
        return self.there[container]

    def kill(self, container: str, _signal: str) -> None:
        self.killed.append(container)

    base_url, api_version, timeout = "http+docker://localhost", "1.41", 60

    def post(self, address: str, json: dict[str, int], **_: object) -> requests.Response:
        self.there[address.split("/")[-2]]["HostConfig"].update(json)
        answer = requests.Response()
        answer.status_code = 200
        return answer

    def update_container(self, container: str, *, cpu_quota: int, cpu_period: int) -> None:
        host = self.there[container]["HostConfig"]
        assert not host.get("NanoCpus"), "CPU Period cannot be updated as NanoCPUs has already been set"
        host.update(CpuQuota=cpu_quota, CpuPeriod=cpu_period)


def container(number: int, name: str, labels: dict[str, str]) -> tuple[str, dict[str, Any]]:
    id_ = f"{number:064x}"
    return id_, {
        "Id": id_,
        "Name": f"/{name}",
        "Config": {"Labels": labels},
        "State": {"Running": True, "Paused": False},
        "HostConfig": {},
        "NetworkSettings": {"Networks": {"inside": {"Aliases": ["app", id_[:12]]}}},
    }


def replica_labels(identity: Identity, slot: str, role: str = "app") -> dict[str, str]:
    return {**identity.labels(role), "lab.slot": slot, "lab.zone": slot[0], "lab.replica": f"{slot}-1"}


def neighbours() -> dict[str, dict[str, Any]]:
    """Look-alikes: another lab's, a copy with half of the labels, one with labels but the project's, the pattern."""
    other = Identity(project="lab-mine-too", run="run", owner="host:1:1.00", expires=2_000_000_000)
    full = replica_labels(MINE, "a1")
    found = [
        container(101, "lab-mine-a1-1", replica_labels(other, "a1")),
        container(102, "lab-mine-a1-1.e1", {}),
        container(103, "a1-1", {name: value for name, value in full.items() if name != "lab.project"}),
        container(104, "lab-mine-pattern", replica_labels(MINE, "a1", role="pattern")),
        container(105, "lab-mine-gate", replica_labels(MINE, "a1", role="gate")),
        container(106, "lab-mine-odd", {**full, "lab.expires": "never"}),
        container(107, "lab-mine-role", {**full, "lab.role": "application"}),
    ]
    found += [container(110 + number, "half", {**full, name: ""}) for number, name in enumerate(IDENTIFYING)]
    return dict(found)


def mine() -> dict[str, dict[str, Any]]:
    slots = ("a1", "a2", "b1", "c1")
    found = [container(number, slot, replica_labels(MINE, slot)) for number, slot in enumerate(slots, 1)]
    found.append(container(8, "balancer", {**MINE.labels("balancer"), "lab.zone": "a"}))
    found.append(container(9, "store", MINE.labels("store")))
    return dict(found)


def struck_by_many_picks() -> set[str]:
    engine = MeanEngine({**mine(), **neighbours()})
    target = EngineHarm(cast(APIClient, engine), project=PROJECT)
    for seed in range(PICKS):
        may = [one for one in target.victims() if is_opted_in(one, SETTINGS.groups)]
        answering = [
            Replica(
                container=one.container, name=one.name, slot=one.slot, zone=one.zone, release="v1",
                state=ReplicaState.RUNNING,
            )
            for one in may
        ]  # fmt: skip
        victim = choose_victim(may, answering, 1, SETTINGS, Random(seed))
        assert victim is not None
        assert target.do(victim.container, FAULTS["kill"].do(victim, "SIGKILL"))
    assert len(engine.killed) == PICKS
    return set(engine.killed)


def test_a_thousand_picks_touch_only_what_has_opted_in() -> None:
    """Each of those that may be struck was, and nobody else."""
    assert struck_by_many_picks() == {f"{number:064x}" for number in (1, 2, 8)}


def test_without_the_look_at_labels_strangers_are_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: it is the look at every label that keeps them safe."""
    monkeypatch.setattr("lab.machine.labels.identity_of", lambda _: MINE)
    assert struck_by_many_picks() & neighbours().keys()


def test_nothing_is_done_to_what_another_lab_has() -> None:
    """Even asked by full id, and whatever is to be done."""
    engine = MeanEngine(neighbours())
    target = EngineHarm(cast(APIClient, engine), project=PROJECT)
    for id_, inspected in engine.there.items():
        victim = engine_harm.victim_of(inspected, "lab-mine-too")
        for fault in FAULTS.values():
            assert victim is None or not target.do(id_, fault.do(victim, "SIGKILL"))
    assert engine.killed == []
    assert any(engine_harm.victim_of(one, "lab-mine-too") for one in engine.there.values())


def test_a_container_that_only_begins_with_the_id_is_another() -> None:
    """Short ids and names are no way to name a victim."""
    engine = MeanEngine(mine())
    engine.there["1"] = engine.there[f"{1:064x}"]
    target = EngineHarm(cast(APIClient, engine), project=PROJECT)
    victim = target.read(f"{1:064x}")
    assert victim is not None
    assert not target.do("1", FAULTS["kill"].do(victim, "SIGKILL"))
    assert engine.killed == []


@pytest.mark.parametrize(
    ("limit", "slowed", "quota"),
    [
        ({}, {"CpuQuota": 5_000, "CpuPeriod": 100_000}, -1),
        ({"CpuQuota": 20_000, "CpuPeriod": 50_000}, {"CpuQuota": 5_000, "CpuPeriod": 100_000}, 40_000),
        ({"NanoCpus": 500_000_000}, {"NanoCpus": 50_000_000}, 50_000),
    ],
    ids=["no limit", "a quota", "cpus: 0.5"],
)
def test_what_is_slowed_gets_as_much_processor_as_it_had(
    limit: dict[str, int], slowed: dict[str, int], quota: int
) -> None:
    """In the way in which its limit was given, since the engine takes no other."""
    id_, described = container(1, "x", replica_labels(MINE, "a1"))
    described["HostConfig"] = dict(limit)
    engine = MeanEngine({id_: described})
    target = EngineHarm(cast(APIClient, engine), project=PROJECT)
    victim = target.read(id_)
    assert victim is not None
    assert victim.cpu_quota == quota
    slow = FAULTS["slow"]
    assert target.do(id_, slow.do(victim, "SIGKILL"))
    assert described["HostConfig"] == slowed
    [undoing] = slow.undo(victim)
    assert target.do(id_, undoing)
    again = target.read(id_)
    assert again is not None
    assert again.cpu_quota == quota


@pytest.mark.parametrize(("engine", "reads_on"), [("Engine", 0.0), ("Podman Engine", engine_harm.PODMAN_READS_ON)])
def test_podman_is_let_read_to_its_newest_event(engine: str, reads_on: float) -> None:
    """Told to end now, it ends before it has read them all, and what was done would never be proved."""
    asked = list[dict[str, Any]]()

    class Tells:
        def version(self) -> dict[str, Any]:
            return {"Components": [{"Name": engine}]}

        def info(self) -> dict[str, Any]:
            return {"SystemTime": "2026-12-01T00:00:10+00:00"}

        def events(self, **how: Any) -> list[dict[str, Any]]:
            asked.append(how)
            return []

    harm = EngineHarm(cast("APIClient", Tells()), project=PROJECT)
    assert not harm.said("c" * 64, "1796083205.0")
    assert float(asked[0]["until"]) - float(harm.mark()) == pytest.approx(reads_on)


def test_the_limit_of_one_that_ended_meanwhile_need_not_be_given_back() -> None:
    """The kernel ends what is squeezed, and an engine may say of it that it runs a moment longer."""

    class Ending(MeanEngine):
        def update_container(self, container: str, **_: object) -> None:
            self.killed.append(container)
            answer = requests.Response()
            answer.status_code = 500
            raise APIError("no", answer, f"Cannot update container {container}: cannot update a stopped container")

    id_, described = container(1, "x", replica_labels(MINE, "a1"))
    engine = Ending({id_: described})
    target = EngineHarm(cast(APIClient, engine), project=PROJECT)
    assert not target.do(id_, Limit(memory=1, memory_swap=1))
    assert engine.killed == [id_], "the engine was not asked"
