"""What a deployer that takes office makes of containers which earlier ones left under one replica's name."""

from __future__ import annotations

from typing import Any, cast

import pytest
from docker import APIClient
from requests import Response

from lab.cluster.compose import CONFLICT, ComposeCluster
from lab.errors import Fenced
from lab.machine import labels
from lab.machine.engine import APIError
from lab.machine.labels import Identity
from lab.model import Slot


class Engine:
    """Lists the containers that it has, renames and removes them."""

    def __init__(self, *names: str) -> None:
        identity = Identity(project="p", run="r", owner="o", expires=9).labels("app")
        place = {labels.SLOT: "a1", labels.ZONE: "a", labels.RELEASE: "v2"}
        own = {**identity, **place, labels.REPLICA: "a1-7", labels.GENERATION: "7"}
        self.there: dict[str, dict[str, Any]] = {
            name: {"Id": name, "Names": [f"/p-a1-7.{name}"], "Labels": own, "State": "running"} for name in names
        }

    def containers(self, **_: object) -> list[dict[str, Any]]:
        return list(self.there.values())

    def rename(self, container: str, name: str) -> None:
        if any(one["Names"] == [f"/{name}"] for one in self.there.values()):
            answer = Response()
            answer.status_code = CONFLICT
            raise APIError("the name is in use", answer)
        self.there[container]["Names"] = [f"/{name}"]

    def remove_container(self, container: str, **_: object) -> None:
        del self.there[container]


def cluster(engine: Engine, epoch: int) -> ComposeCluster:
    slots = (Slot(name="a1", zone="a"),)
    return ComposeCluster(cast(APIClient, engine), project="p", slots=slots, epoch=epoch)


@pytest.mark.parametrize("listed", [("e1", "e2"), ("e2", "e1")])
def test_the_later_tenures_container_stays(listed: tuple[str, str]) -> None:
    """In whichever order the engine lists them: it may serve, the other one was made too late."""
    engine = Engine(*listed)
    assert [one.container for one in cluster(engine, 3).replicas()] == ["e2"]
    assert engine.there["e2"]["Names"] == ["/p-a1-7.e3"]
    assert list(engine.there) == ["e2"]


def test_whoever_leads_no_more_touches_nothing() -> None:
    """One look at a later tenure's name is enough, wherever it stands in the list."""
    engine = Engine("e1", "e4")
    with pytest.raises(Fenced):
        cluster(engine, 3).replicas()
    assert [one["Names"] for one in engine.there.values()] == [["/p-a1-7.e1"], ["/p-a1-7.e4"]]
