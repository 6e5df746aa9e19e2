"""Taking a cluster down: again and again while somebody else is at it, never what is a stranger's, and told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.clock import FakeClock
from lab.cluster.tear_down import tear_down
from lab.errors import EngineError
from lab.machine.engine import APIError, NotFound
from lab.machine.labels import GUEST, Identity
from lab.machine.sweep import Leftover, remove_images, sweep

MINE = Identity(project="lab-x", run="r1", owner="elsewhere:1:2.00", expires=4102444800)
NETWORK, VOLUME = "lab-x_inside", "lab-x_data"


def refusal(status: int, said: str) -> APIError:
    answer = requests.Response()
    answer.status_code = status
    return (NotFound if status == 404 else APIError)(said, response=answer, explanation=said)


class Engine:
    """Containers in one network and on one volume, as moby treats their removal."""

    def __init__(self, *containers: str) -> None:
        self.there = list(containers)
        self.going: set[str] = set()
        """Those that somebody else is removing already."""
        self.parts = {NETWORK, VOLUME}
        self.endpoints: set[str] = set()
        """Those that the engine keeps of containers that are gone; nobody but itself sees them."""
        self.put_out: set[str] = set()
        """Those that are in no network any more."""
        self.strangers = False
        """Whether a container of somebody else is in the network."""
        self.guest = False
        """Whether that is a lab, which asks what is there."""

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Id": one, "Names": [f"/{one}"], "Labels": MINE.labels("app")} for one in self.there]

    def networks(self, **_: Any) -> list[dict[str, Any]]:
        labels = MINE.labels("network")
        return [{"Id": one, "Name": one, "Labels": labels} for one in self.parts & {NETWORK}]

    def volumes(self, **_: Any) -> dict[str, Any]:
        labels = MINE.labels("volume")
        return {"Volumes": [{"Name": one, "Labels": labels} for one in self.parts & {VOLUME}] or None}

    def remove_container(self, container: str, **_: Any) -> None:
        if container in self.going:
            raise refusal(409, f"removal of container {container} is already in progress")
        if container not in self.there:
            raise refusal(404, "no such container")
        self.there.remove(container)

    def remove_network(self, network: str) -> None:
        if set(self.there) - self.put_out or self.strangers or self.endpoints:
            raise refusal(403, f"network {network} has active endpoints")
        self.parts.remove(network)

    def inspect_network(self, network: str) -> dict[str, Any]:
        assert network == NETWORK
        return {"Name": NETWORK, "Containers": {"somebody": {}} if self.strangers or self.there else {}}

    def inspect_container(self, container: str) -> dict[str, Any]:
        aliases = [GUEST] if self.guest else [container]
        return {"Id": container, "NetworkSettings": {"Networks": {NETWORK: {"Aliases": aliases}}}}

    def disconnect_container_from_network(self, container: str, network: str, *, force: bool) -> None:
        assert force
        assert network == NETWORK
        if self.guest and container == "somebody":
            self.strangers = self.guest = False
            return
        if container in self.there:
            self.put_out.add(container)
        elif container not in self.endpoints:
            raise refusal(404, "no such container")
        self.endpoints.discard(container)

    def remove_volume(self, volume: str) -> None:
        if self.there:
            raise refusal(409, f"remove {volume}: volume is in use")
        self.parts.remove(volume)


class Later(FakeClock):
    """Something happens while somebody waits."""

    def __init__(self, happens: Callable[[], None]) -> None:
        super().__init__()
        self._happens = happens

    def sleep(self, seconds: float) -> None:
        self._happens()
        super().sleep(seconds)


def test_two_labs_remove_the_same_at_once() -> None:
    """What another lab is removing is waited for, and the rest goes then."""
    engine = Engine("one", "two")
    engine.going = {"one"}
    removed = tear_down(engine, "lab-x", clock=Later(engine.there.clear))  # type: ignore[arg-type]
    assert removed == ["container two", f"network {NETWORK}", f"volume {VOLUME}"]
    assert not engine.parts


def test_a_lab_that_is_in_the_network_to_reach_its_doors_is_put_out() -> None:
    """The container of a job goes on without it; nothing is waited for."""
    engine = Engine("one")
    engine.strangers = engine.guest = True
    removed = tear_down(engine, "lab-x", clock=FakeClock())  # type: ignore[arg-type]
    assert removed == ["container one", f"network {NETWORK}", f"volume {VOLUME}"]
    assert not engine.strangers


def test_what_is_made_meanwhile_goes_too() -> None:
    """A deployer that has not heard yet makes one more replica: nothing is left of it."""

    class Late(Engine):
        def remove_network(self, network: str) -> None:
            super().remove_network(network)
            self.there.append("two")

    engine = Late("one")
    removed = tear_down(engine, "lab-x", clock=FakeClock())  # type: ignore[arg-type]
    assert removed == ["container one", f"network {NETWORK}", "container two", f"volume {VOLUME}"]


def test_a_deployer_that_lives_makes_no_more_once_the_network_is_gone() -> None:
    """It makes another for each that is removed; not for ever."""

    class Alive(Engine):
        def remove_container(self, container: str, **how: Any) -> None:
            super().remove_container(container, **how)
            if NETWORK in self.parts:
                self.there.append(f"after {container}")

    engine = Alive("one")
    removed = tear_down(engine, "lab-x", clock=FakeClock())  # type: ignore[arg-type]
    assert removed == ["container one", f"network {NETWORK}", "container after one", f"volume {VOLUME}"]


def test_a_strangers_container_is_told_and_left(tmp_path: Path) -> None:
    """The wait ends, says which network and how to see who is in it, and the files stay for the next try."""
    engine = Engine("one")
    engine.strangers = True
    with pytest.raises(EngineError, match=f"{NETWORK} has active endpoints.*\n.*--filter network={NETWORK}"):
        tear_down(engine, "lab-x", folder=tmp_path, clock=FakeClock())  # type: ignore[arg-type]
    assert tmp_path.exists()
    assert engine.parts == {NETWORK}


def test_an_endpoint_of_a_container_that_is_gone_is_let_go_by_force() -> None:
    """The engine keeps one where a container was removed while it started; it still has that container's name."""
    engine = Engine("one", "two")
    engine.endpoints = {"two"}
    removed = tear_down(engine, "lab-x", clock=FakeClock())  # type: ignore[arg-type]
    assert removed == ["container one", "container two", f"network {NETWORK}", f"volume {VOLUME}"]
    assert not engine.parts


def test_a_network_that_the_engine_alone_holds_is_told_as_its_own_and_keeps_nothing_else(tmp_path: Path) -> None:
    """The volume and the files go; and the next time nobody waits for what does not change."""
    engine, folder, clock = Engine("one"), tmp_path / "files", FakeClock()
    folder.mkdir()
    engine.endpoints = {"of before"}
    for waited in (True, False):
        began = clock.now()
        with pytest.raises(EngineError, match="though no container is in it; all else is removed") as told:
            tear_down(engine, "lab-x", folder=folder, clock=clock)  # type: ignore[arg-type]
        assert (clock.now() > began) is waited
        assert "next start" in told.value.hint
        assert engine.parts == {NETWORK}
        assert not folder.exists()


def test_one_stuck_cluster_keeps_no_other() -> None:
    """A sweep goes on, and says what it left and why."""
    found = [Leftover(identity=MINE, parts=1, is_abandoned=True)] * 3
    answers: list[list[str] | None] = [["container one"], None, ["container three"]]

    def remove(project: str) -> list[str]:
        answer = answers.pop(0)
        if answer is None:
            raise EngineError("it stays", at=project)
        return answer

    swept = sweep(found, remove)
    assert swept.removed == ("container one", "container three")
    assert swept.stuck == ("lab-x: it stays",)


def test_an_image_in_use_stays_and_the_others_go() -> None:
    """Told are exactly those that are gone."""

    class Images:
        def images(self, **_: Any) -> list[dict[str, Any]]:
            return [{"RepoTags": [f"cluster-lab/{name}:1"]} for name in "abc"] + [{"RepoTags": None}]

        def remove_image(self, tag: str, **_: Any) -> None:
            if "/b:" in tag:
                raise refusal(409, "container 1234 is using its referenced image")

    assert remove_images(Images()) == ["image cluster-lab/a:1", "image cluster-lab/c:1"]  # type: ignore[arg-type]
