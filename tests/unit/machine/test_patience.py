"""Commands that do not end are the machine's trouble, told as such and never as a fault of the lab."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.cluster.bring_up import bring_up
from lab.cluster.commands import ClusterPlan
from lab.cluster.edges import Edge
from lab.cluster.own_files import read_compose
from lab.errors import ClusterError, SetupError
from lab.machine import install
from lab.machine.labels import Identity

COMPOSE = ("docker", "compose")
PLAN = ClusterPlan(
    identity=Identity(project="lab-x", run="r", owner="o", expires=1),
    compose_file=Path("cluster.yaml"),
    folder=Path("folder"),
    app_image="a",
    nginx_image="n",
    redis_image="r",
    cutter_image="c",
    edges=(Edge(zone="", port=1, door=2),),
)


@pytest.fixture(autouse=True)
def nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command outlasts the patience that it is given."""

    def run(argv: list[str], *, timeout: float, **_: Any) -> None:
        raise subprocess.TimeoutExpired(argv, timeout)

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")


def test_a_compose_that_does_not_end_brings_no_cluster_up() -> None:
    """After how long, and for which file."""
    with pytest.raises(ClusterError, match=r"^cluster\.yaml: .*did not finish within 180 s"):
        bring_up(COMPOSE, PLAN)


def test_a_compose_that_does_not_end_reads_no_file(tmp_path: Path) -> None:
    """With the command to see for oneself."""
    file = tmp_path / "theirs.yaml"
    file.touch()
    with pytest.raises(ClusterError, match=r"within 60 s[\s\S]*docker compose -f \S*theirs\.yaml config"):
        read_compose(COMPOSE, [file])


def test_a_compose_that_does_not_say_its_version_is_none() -> None:
    """The next one is asked, or one is installed."""
    assert install.find_compose() is None


def test_an_installation_that_does_not_end_is_told() -> None:
    """With the command that was given."""
    with pytest.raises(SetupError, match="apt-get update: did not finish within 1200 s"):
        install.apt_install(["one"])
