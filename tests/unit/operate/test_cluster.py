"""A cluster by itself: what its verbs refuse, and what they leave alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.backends import choose
from lab.backends import docker as wiring
from lab.backends.docker import DockerBackend, take_down
from lab.backends.state import open_state
from lab.balancer.protocol import ReplicaAnswer
from lab.chaos.opened import LostZone, OpenFaults
from lab.clock import SYSTEM_CLOCK
from lab.deploy.desk import Desk
from lab.deploy.rollout import first_desired
from lab.errors import StateError, UsageError
from lab.machine.places import Places
from lab.machine.projects import kept_identity
from lab.machine.sweep import COMPOSE_PROJECT, FILES_LIVE, Leftover, sweep, sweep_files
from lab.model import Release, Replica, ReplicaState, Slot
from lab.operate import cluster as keep
from lab.operate import faults as strike_by_hand
from lab.operate import rollouts as hand
from lab.run.deployed import lost_zones_of


class NoEngine:
    """An engine that has nothing."""

    def containers(self, **_: object) -> list[object]:
        return []

    networks = containers

    def volumes(self, **_: object) -> dict[str, None]:
        return {"Volumes": None}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a lab with one file in it, beside somebody's folder "thesis"."""
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("years of work")
    root = tmp_path / "checkout"
    (root / ".lab" / "clusters").mkdir(parents=True)
    (root / "README").write_text("read me")
    monkeypatch.delenv("LAB_STATE", raising=False)
    for module in (keep, hand, strike_by_hand):
        monkeypatch.setattr(module, "find_places", lambda: Places(root=root, sources=root))
    monkeypatch.setattr(choose, "find_places", lambda: Places(root=root, sources=root))
    monkeypatch.setattr(choose, "connect", NoEngine)
    return root


def unsaid(_: str) -> None:
    pass


@pytest.mark.parametrize("name", ["..", "../..", "thesis"])
@pytest.mark.parametrize(
    "verb",
    [
        lambda name: keep.bring_down(name, say=unsaid),
        lambda name: keep.show_status(name, say=unsaid),
        lambda name: keep.bring_up_and_keep("shop:v1", keep.KeptStores(), project=name, port=None, say=unsaid),
        lambda name: hand.resume(project=name, say=unsaid),
        lambda name: hand.approve(project=name, say=unsaid),
        lambda name: hand.show_lock(project=name, say=unsaid),
        lambda name: strike_by_hand.heal(project=name, say=unsaid),
    ],
    ids=["down", "status", "up", "resume", "approve", "lock", "heal"],
)
def test_a_path_is_no_project(checkout: Path, verb: Callable[[str], int], name: str) -> None:
    """`-p PATH` is a mistake in the command line, and removes nothing."""
    with pytest.raises(UsageError, match="project's name"):
        verb(str(checkout.parent / name) if name == "thesis" else name)
    assert (checkout / "README").exists()
    assert (checkout / ".lab" / "clusters").exists()
    assert (checkout.parent / "thesis" / "chapter").exists()


SLOTS = (Slot(name="a1", zone="a"), Slot(name="b1", zone="b"))


def begin(places: Places) -> None:
    """What `lab up` and `lab lose-zone b` write down."""
    with open_state(places) as state:
        Desk(state, "lab-x", clock=SYSTEM_CLOCK).begin(first_desired(Release(name="v1", image="i"), SLOTS))
        OpenFaults(state, "lab-x").lose(LostZone(zone="b", cut_off=False, since=1))


def is_wanted(places: Places) -> bool:
    with open_state(places) as state:
        return Desk(state, "lab-x", clock=SYSTEM_CLOCK).exists()


def test_a_swept_cluster_leaves_no_lost_zone_behind(checkout: Path) -> None:
    """`lab clean` forgets what `lab down` forgets: the next cluster of this name begins whole."""
    places = Places(root=checkout, sources=checkout)
    begin(places)
    found = [Leftover(identity=kept_identity("lab-x"), parts=9, is_abandoned=True)]
    swept = sweep(found, lambda project: take_down(NoEngine(), places, project))  # type: ignore[arg-type]
    assert not swept.stuck
    assert not is_wanted(places)
    with open_state(places) as state:
        assert lost_zones_of(state, "lab-x")() == ()


def test_a_cluster_is_forgotten_before_its_parts_go(checkout: Path) -> None:
    """A deployer that looks after it sees that it is wanted no more, and makes nothing anew."""
    places = Places(root=checkout, sources=checkout)
    begin(places)
    wanted: list[bool] = []

    class Looked(NoEngine):
        def containers(self, **_: object) -> list[object]:
            wanted.append(is_wanted(places))
            if len(wanted) == 1:
                begin(places)  # a deployer's last word, which comes too late
            return []

    take_down(Looked(), places, "lab-x")  # type: ignore[arg-type]
    assert wanted[0] is False
    assert not is_wanted(places)


def test_a_state_that_is_away_keeps_no_cluster_up(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is removed all the same, and the state's trouble told."""
    places = Places(root=checkout, sources=checkout)
    folder = places.cluster("lab-x")
    folder.mkdir()

    def away(_: Places) -> None:
        raise StateError("it does not answer")

    monkeypatch.setattr(wiring, "open_state", away)
    with pytest.raises(StateError):
        take_down(NoEngine(), places, "lab-x")  # type: ignore[arg-type]
    assert not folder.exists()


def test_the_files_of_a_cluster_that_begins_are_left(checkout: Path) -> None:
    """They are written before the engine has anything of it; what is older than any cluster goes."""
    places, now = Places(root=checkout, sources=checkout), SYSTEM_CLOCK.wall()
    folder = places.cluster("lab-x")
    folder.mkdir()
    assert not sweep_files(NoEngine(), places, now=now)  # type: ignore[arg-type]
    assert folder.exists()
    later = now + timedelta(seconds=FILES_LIVE + 60)
    assert sweep_files(NoEngine(), places, now=later) == [f"folder {folder}"]  # type: ignore[arg-type]
    assert not folder.exists()


def test_somebodys_own_compose_project_is_left_alone(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose would take services of the same name for older ones of the cluster, and make them anew."""
    asked: list[object] = []

    class Theirs(NoEngine):
        def containers(self, **asks: Any) -> list[object]:
            only = asks["filters"]["label"]
            asked.extend(only)
            theirs = {"Id": "1", "Names": ["/myshop-app-1"], "Labels": {COMPOSE_PROJECT: "myshop"}}
            return [theirs] if only == [f"{COMPOSE_PROJECT}=myshop"] else []

    places = Places(root=checkout, sources=checkout)
    box = {"places": places, "images": SimpleNamespace(tag=str), "compose": ("docker", "compose")}
    toolbox = cast(Any, SimpleNamespace(engine=Theirs(), **box))
    monkeypatch.setattr(keep, "make_backend", lambda *_: DockerBackend(toolbox))
    with pytest.raises(UsageError, match="none of the lab's"):
        keep.bring_up_and_keep("shop:v1", keep.KeptStores(), project="myshop", port=None, say=unsaid)
    assert f"{COMPOSE_PROJECT}=myshop" in asked
    assert not (checkout / ".lab" / "clusters" / "myshop").exists()


@pytest.mark.parametrize(("filled", "code"), [("a1 b1", 0), ("a1", 4)])
def test_an_empty_slot_is_not_well(checkout: Path, monkeypatch: pytest.MonkeyPatch, filled: str, code: int) -> None:
    """A lost zone's slots are wanted, though nothing is there that could fail to answer."""
    begin(Places(root=checkout, sources=checkout))
    there = [slot for slot in SLOTS if slot.name in filled.split()]
    replicas = [
        Replica(
            container=one.name,
            name=f"{one.name}-1",
            slot=one.name,
            zone=one.zone,
            release="v1",
            state=ReplicaState.RUNNING,
        )
        for one in there
    ]

    class Balancer:
        def holders(self, _: object) -> dict[str, ReplicaAnswer]:
            return {one.name: ReplicaAnswer(replica=f"{one.name}-1", is_ready=True) for one in there}

    live = SimpleNamespace(balancer=Balancer(), doors=(("127.0.0.1", 1),))
    standing = SimpleNamespace(
        cluster=lambda _: SimpleNamespace(replicas=lambda: replicas),
        attach=lambda *_: nullcontext(live),
        state=lambda: open_state(Places(root=checkout, sources=checkout)),
    )
    monkeypatch.setattr(keep, "connect_backend", lambda: standing)
    said: list[str] = []
    assert keep.show_status("lab-x", say=said.append) == code
    assert any("b1" in line and "nobody" in line for line in said) is bool(code)
