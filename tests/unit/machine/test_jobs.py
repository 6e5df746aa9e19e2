"""Whether the lab of a cluster is over that ran in a container of the same engine: the engine knows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from docker.errors import NotFound

from lab.machine.labels import JOB, KEPT, Identity
from lab.machine.sweep import find_clusters

NOW = datetime.fromtimestamp(1000, UTC)


class Engine:
    """One network of a cluster whose lab is the container `job`."""

    def __init__(self, owner: str, state: str) -> None:
        identity = Identity(project="lab-x", run="r", owner=owner, expires=2000)
        self._labels, self._state = {**identity.labels("network"), JOB: "job"}, state

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        return []

    def networks(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Labels": self._labels}]

    def volumes(self, **_: Any) -> dict[str, Any]:
        return {"Volumes": None}

    def inspect_container(self, container: str) -> dict[str, Any]:
        assert container == "job"
        if self._state == "gone":
            raise NotFound("no such container", response=requests.Response())
        return {"State": {"Running": self._state == "running"}}


@pytest.mark.parametrize(
    ("owner", "state", "abandoned"),
    [
        ("elsewhere:1:2.00", "running", False),
        ("elsewhere:1:2.00", "exited", True),
        ("elsewhere:1:2.00", "gone", True),
        (KEPT, "gone", False),
    ],
)
def test_a_job_that_ended_leaves_what_the_next_one_removes(owner: str, state: str, abandoned: bool) -> None:
    """At once, and not when its time is over; what is to be kept outlives it."""
    [found] = find_clusters(Engine(owner, state), now=NOW)  # type: ignore[arg-type]
    assert found.is_abandoned is abandoned
