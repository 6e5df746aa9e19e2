"""A cluster of which nothing is written down any more is found again by its labels, and goes on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.backends.docker import DockerBackend
from lab.balancer.config import BalancerSettings, render, slots_in
from lab.cluster.found import read_cluster
from lab.errors import UsageError
from lab.machine import labels
from lab.machine.labels import KEPT, Identity
from lab.machine.places import Places
from lab.model import Release, Slot
from lab.operate import cluster as keep
from lab.operate.recovery import desk_of
from lab.state.file import FileState

SLOTS = tuple(
    Slot(name=f"{zone}{number}", zone=zone) for number in (1, 2) for zone in ("a", "eu-1")
)  # a1, eu-11, a2, eu-12
CONF = render(SLOTS, BalancerSettings())
V1, V2 = Release(name="v1", image="cluster-lab/shop:v1-1"), Release(name="v2", image="cluster-lab/shop:v2-1")


def container(slot: Slot, release: Release, tenure: int, owner: str = KEPT) -> dict[str, Any]:
    mine = Identity(project="lab-x", run="kept", owner=owner, expires=4102444800).labels("app")
    told = {labels.SLOT: slot.name, labels.ZONE: slot.zone, labels.RELEASE: release.name, labels.GENERATION: "3"}
    return {
        "Id": slot.name * 30,
        "Names": [f"/lab-x-{slot.name}-3.e{tenure}"],
        "Labels": {**mine, **told},
        "State": "running",
        "Image": release.image,
    }


STANDING = [container(SLOTS[0], V1, 4), container(SLOTS[1], V1, 17), container(SLOTS[3], V2, 9)]


class Engine:
    def __init__(self, found: list[dict[str, Any]]) -> None:
        self.found = found

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        return self.found

    def networks(self, **_: Any) -> list[object]:
        return []

    def volumes(self, **_: Any) -> dict[str, None]:
        return {"Volumes": None}


def test_what_stands_is_what_is_wanted() -> None:
    """Slots as the balancer knows them, also the one that has no replica; the release of most of the replicas."""
    found = read_cluster(STANDING, slots_in(CONF))
    assert found is not None
    assert (found.release, found.slots, found.tenure) == (V1, SLOTS, 17)
    assert set(found.active) == {"a1", "eu-11", "eu-12"}
    without = read_cluster(STANDING, ())
    assert without is not None
    assert [slot.name for slot in without.slots] == ["a1", "eu-11", "eu-12"]


def test_a_runs_cluster_and_a_strangers_are_not_found() -> None:
    """A second deployer would fence off the run's own."""
    assert read_cluster([container(SLOTS[0], V1, 1, owner="host:1:2.00")], ()) is None
    assert read_cluster([{**STANDING[0], "Labels": {}}], ()) is None
    assert read_cluster([], ()) is None


def test_a_state_that_was_moved_away_loses_no_cluster(tmp_path: Path) -> None:
    """`lab status` and `lab roll` go on with it, and a deployer's tenure is later than any that a container bears."""
    places, said = Places(root=tmp_path, sources=tmp_path), list[str]()
    folder = places.cluster("lab-x")
    folder.mkdir(parents=True)
    (folder / "nginx.conf").write_text(CONF)
    engine: Any = Engine(STANDING)
    toolbox: Any = SimpleNamespace(engine=engine, places=places)
    backend = DockerBackend(toolbox)
    with FileState(places.state) as state:
        desk = desk_of(backend, state, "lab-x", say=said.append)
        desired = desk.read().desired
        assert (desired.release, desired.slots, desired.rollout) == (V1, SLOTS, None)
        assert said == ["lab-x: nothing was written down of it; found again by its labels, with v1"]
        lease = state.acquire("lab-x", "a deployer", 10)
        assert lease is not None
        assert lease.token > 17
        engine.found = []
        assert desk_of(backend, state, "lab-x", say=said.append).read().desired == desired
        assert len(said) == 1, "what is written down is not found again"
        with pytest.raises(UsageError, match="no such cluster"):
            desk_of(backend, state, "lab-y").read()


@pytest.mark.parametrize("is_here", [True, False])
def test_the_cluster_of_a_run_that_goes_on_is_not_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_here: bool
) -> None:
    """From another checkout it could be; that run then ended BROKEN. With --yes it can."""
    owner, told = (labels.this_process(), "which goes on") if is_here else ("elsewhere:1:2.00", "which may go on")
    monkeypatch.delenv("LAB_STATE", raising=False)
    places, engine = Places(root=tmp_path, sources=tmp_path), Engine([container(SLOTS[0], V1, 1, owner=owner)])
    monkeypatch.setattr(keep, "find_places", lambda: places)
    taken: list[str] = []

    class Standing(DockerBackend):
        def take_down(self, project: str) -> list[str]:
            taken.append(project)
            return [project]

    toolbox: Any = SimpleNamespace(engine=engine, places=places)
    monkeypatch.setattr(keep, "connect_backend", lambda: Standing(toolbox))
    with pytest.raises(UsageError, match=told) as raised:
        keep.bring_down("lab-x", say=lambda _: None)
    assert "--yes" in raised.value.hint
    assert not taken
    keep.bring_down("lab-x", say=lambda _: None, is_agreed=True)
    assert taken == ["lab-x"]
    engine.found = STANDING
    keep.bring_down("lab-x", say=lambda _: None)
    with pytest.raises(UsageError, match="project's name"):
        keep.bring_down("", say=lambda _: None)
