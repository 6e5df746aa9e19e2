"""A yard of engines: whole or not at all, and gone without a trace, however its maker ended."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.backends.docker import take_down
from lab.clock import SYSTEM_CLOCK
from lab.machine import labels
from lab.machine.images import NODE
from lab.machine.labels import this_process
from lab.machine.places import Places
from lab.machine.projects import kept_identity
from lab.machine.setup import Toolbox
from lab.machine.swarm import Swarm, check_swarm, find_swarm
from lab.machine.sweep import find_clusters
from lab.machine.yard import find_yard, is_whole, look_at_yard, make_yard
from lab.retry import wait_until

pytestmark = pytest.mark.prove

MAKER = """
import sys
from pathlib import Path
from lab.machine.labels import this_process
from lab.machine.places import find_places
from lab.machine.projects import kept_identity
from lab.machine.setup import make_ready
from lab.machine.yard import make_yard
toolbox = make_ready(find_places(), print, ["node"])
make_yard(toolbox, kept_identity(sys.argv[1]), find_places().cluster(sys.argv[1]), print, by=this_process())
"""


@pytest.fixture
def name(toolbox: Toolbox, places: Places) -> Iterator[str]:
    toolbox.images.make_missing(print, [NODE])
    project = f"lab-y{secrets.token_hex(2)}-yard"
    yield project
    take_down(toolbox.engine, places, project)


def left_of(toolbox: Toolbox, project: str) -> list[str]:
    """Containers, volumes and networks that bear its label."""
    only = {"label": f"{labels.PROJECT}={project}"}
    engine = toolbox.engine
    found = [one["Id"] for one in engine.containers(all=True, filters=only)]
    found += [one["Name"] for one in engine.volumes(filters=only)["Volumes"] or ()]
    return found + [one["Name"] for one in engine.networks(filters=only)]


def test_a_yard_is_a_swarm_of_three_zones(toolbox: Toolbox, places: Places, name: str) -> None:
    """All managers, each in its zone; a process that ended long ago does not make it nobody's."""
    nodes = make_yard(toolbox, kept_identity(name), places.cluster(name), print, by=this_process())
    assert is_whole(toolbox.engine, name)
    assert all(said.startswith("ready") for said in look_at_yard(nodes).values())
    swarm: Swarm = find_swarm(toolbox.engine, name)
    assert [node.zone for node in check_swarm(swarm, ("a", "b", "c"))] == ["a", "b", "c"]
    assert all(node.is_manager for node in swarm.nodes())
    swarm.close()
    [found] = [one for one in find_clusters(toolbox.engine, now=SYSTEM_CLOCK.wall()) if one.identity.project == name]
    assert not found.is_abandoned
    group = Path("/sys/fs/cgroup")
    containers = [node.container for node in nodes]
    take_down(toolbox.engine, places, name)
    assert left_of(toolbox, name) == []
    assert not places.cluster(name).exists()
    for container in containers:
        assert list(group.glob(f"*/docker/{container}")) == [], "what its own containers had"


def test_a_yard_whose_maker_was_killed_is_nobodys_and_goes_whole(toolbox: Toolbox, places: Places, name: str) -> None:
    """As `lab clean` and the next lab find it: half a yard is of no use to anybody."""
    with subprocess.Popen([sys.executable, "-c", MAKER, name], stdout=subprocess.DEVNULL) as maker:
        wait_until("a node is there", lambda: len(find_yard(toolbox.engine, name)) >= 2, within=60, every=0.05)
        maker.send_signal(signal.SIGKILL)
    assert not is_whole(toolbox.engine, name)
    found = [one for one in find_clusters(toolbox.engine, now=SYSTEM_CLOCK.wall()) if one.identity.project == name]
    assert any(one.is_abandoned for one in found)
    take_down(toolbox.engine, places, name)
    assert left_of(toolbox, name) == []
