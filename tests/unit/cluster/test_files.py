"""What a cluster's containers mount, written again over what a killed lab left."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lab.cluster.bring_up import LAB_PASSWORD, write_files
from lab.cluster.commands import ClusterPlan
from lab.cluster.edges import Edge
from lab.machine.labels import Identity


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    return ClusterPlan(
        identity=Identity(project="lab-x", run="r", owner="o", expires=1),
        compose_file=tmp_path / "cluster.yaml",
        folder=tmp_path / "clusters" / "lab-x",
        app_image="a",
        nginx_image="n",
        redis_image="r",
        cutter_image="c",
        edges=(Edge(zone="", port=1, door=2),),
    )


def test_files_are_written_over_those_that_a_killed_lab_left(plan: ClusterPlan) -> None:
    """They may be written by nobody, so each is made anew: one that is open elsewhere keeps what it had."""
    write_files(plan, "first")
    before = {path.name for path in plan.folder.iterdir()}
    with (plan.folder / "nginx.conf").open() as mounted:
        write_files(plan, "second")
        assert mounted.read() == "first"
    assert (plan.folder / "nginx.conf").read_text() == "second"
    assert {path.name for path in plan.folder.iterdir()} == before
    for path in plan.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == (0o400 if path.name == LAB_PASSWORD else 0o444)
