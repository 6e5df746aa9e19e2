"""Replicas of an app that is in several networks, on engines that create a container in one alone."""

from __future__ import annotations

from typing import Any, cast

import pytest
from docker import APIClient

from lab.cluster.compose import SERVICE, ComposeCluster
from lab.machine import labels
from lab.model import Release, Replica, ReplicaState, Slot

A1 = Slot(name="a1", zone="a")
PATTERN = {
    "Id": "the pattern",
    "Name": "/lab-x-web-1",
    "Config": {"Labels": {SERVICE: "web", labels.ROLE: "pattern"}, "Env": []},
    "Image": "i",
    "HostConfig": {"NetworkMode": "front"},
    "NetworkSettings": {"Networks": {"back": {}, "front": {}}},
}


class Engine:
    """Says what a container was created with, joined to and started."""

    def __init__(self) -> None:
        self.joined: dict[str, list[str]] = {}
        self.acts: list[str] = []

    def containers(self, **asked: Any) -> list[dict[str, Any]]:
        is_pattern = any(one.endswith("=pattern") for one in asked["filters"]["label"])
        return [{"Id": "the pattern"}] if is_pattern else []

    def inspect_container(self, container: str) -> dict[str, Any]:
        if container == "the pattern":
            return dict(PATTERN)
        return {"NetworkSettings": {"Networks": self.joined}}

    def inspect_image(self, _image: str) -> dict[str, Any]:
        return {"Config": {}}

    def create_container_from_config(self, body: dict[str, Any], _name: str) -> dict[str, str]:
        self.joined = {name: one["Aliases"] for name, one in body["NetworkingConfig"]["EndpointsConfig"].items()}
        self.acts.append(f"create in {sorted(self.joined)}")
        return {"Id": "made"}

    def connect_container_to_network(self, _container: str, network: str, aliases: list[str]) -> None:
        self.joined[network] = aliases
        self.acts.append(f"join {network}")

    def start(self, _container: str) -> None:
        self.acts.append("start")


@pytest.fixture
def engine() -> Engine:
    return Engine()


def cluster(engine: Engine) -> ComposeCluster:
    return ComposeCluster(cast(APIClient, engine), project="p", slots=(A1,))


def test_a_replica_is_made_in_one_network_and_joins_the_others_before_it_starts(engine: Engine) -> None:
    """Under the same alias in each, and once."""
    replica = cluster(engine).create(A1, Release(name="v1", image="i"))
    cluster(engine).start(replica)
    assert engine.acts == ["create in ['front']", "join back", "start"]
    assert engine.joined == {"front": ["web"], "back": ["web"]}
    cluster(engine).start(replica)
    assert engine.acts[3:] == ["start"]


def test_whoever_takes_over_between_the_two_joins_them(engine: Engine) -> None:
    """The one that made it died before it was started."""
    engine.joined = {"front": ["web"]}
    made = Replica(
        container="made", name="a1-1", slot="a1", zone="a", release="v1", generation=1, state=ReplicaState.CREATED
    )
    cluster(engine).start(made)
    assert engine.acts == ["join back", "start"]
