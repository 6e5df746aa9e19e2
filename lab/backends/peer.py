"""Another way's cluster: a Compose project with the shop behind a plain nginx, upgraded as most people do it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from lab.cluster.bring_up import write_files
from lab.cluster.commands import ClusterPlan, environment
from lab.cluster.compose import ComposeCluster
from lab.cluster.edges import Edge
from lab.cluster.tear_down import tear_down
from lab.errors import ClusterError, UsageError
from lab.machine import labels
from lab.machine.engine import engine_address, engine_errors
from lab.machine.labels import Identity
from lab.machine.ports import free_ports
from lab.machine.reach import find_reach
from lab.machine.setup import Toolbox
from lab.retry import wait_until

HEALTHY_WITHIN = 120.0


class Peer:
    """The project: six replicas behind an nginx that asks Docker's DNS anew each second and repeats what failed."""

    REPLICAS = 6

    def __init__(self, toolbox: Toolbox, identity: Identity) -> None:
        self.toolbox, self.identity = toolbox, identity
        self.folder = toolbox.places.cluster(identity.project)
        port, door = free_ports(2)
        self._edge = Edge(zone="", port=port, door=door)
        self._file = toolbox.places.compose_file.with_name("peer.yaml")
        self.only_app = [f"{labels.PROJECT}={identity.project}", f"{labels.ROLE}=app"]

    def plan(self, image: str) -> ClusterPlan:
        """What Compose is told, with this image of the app."""
        return ClusterPlan(
            identity=self.identity,
            compose_file=self._file,
            folder=self.folder,
            app_image=self.toolbox.images.tag(image),
            nginx_image=self.toolbox.images.tag("nginx"),
            redis_image=self.toolbox.images.tag("redis"),
            cutter_image=self.toolbox.images.tag("cutter"),
            edges=(self._edge,),
        )

    def compose(self, image: str, *arguments: str) -> None:
        """`docker compose ...` with this image of the app. Raises ClusterError with Compose's words."""
        project = ["--project-name", self.identity.project, "--file", str(self._file), "--progress", "quiet"]
        _run([*self.toolbox.compose, *project, *arguments], environment(self.plan(image)))

    def apps(self) -> dict[str, str]:
        """The app's containers that run, and what the engine says of their health."""
        with engine_errors("look for the peer's replicas", at=self.identity.project):
            found = self.toolbox.engine.containers(filters={"label": self.only_app})
        return {one["Id"]: one["Status"] for one in found}

    def address(self) -> tuple[str, int]:
        """Where users go."""
        return ComposeCluster(self.toolbox.engine, project=self.identity.project, slots=()).addresses()[0]

    def write_files(self, image: str) -> None:
        """What the containers mount."""
        write_files(self.plan(image), self._file.with_name("peer_nginx.conf").read_text())


@contextmanager
def peer(toolbox: Toolbox, identity: Identity, image: str) -> Iterator[Peer]:
    """A peer's project that is gone afterwards.

    Raises UsageError on an engine that does not see this machine's files: such a project mounts some, as it stands.
    """
    reach = find_reach(toolbox.engine, toolbox.images.tag("nginx"), toolbox.places.own)
    if not reach.is_plain:
        raise UsageError(
            "others' ways of upgrading mount files of this machine, which this engine does not see",
            at=engine_address(),
            hint="lab duel rolling   # or on the engine's own machine",
        )
    one = Peer(toolbox, identity)
    try:
        one.write_files(image)
        yield one
    finally:
        tear_down(toolbox.engine, identity.project, folder=one.folder)


def bring_up(one: Peer, image: str) -> None:
    """All replicas healthy."""
    one.compose(image, "up", "--detach", "--wait")


def recreate(one: Peer, image: str) -> None:
    """`docker compose up -d`: all replicas of the service are made anew at once."""
    one.compose(image, "up", "--detach", "--wait")


def roll_out(one: Peer, image: str) -> None:
    """docker-rollout's steps: twice as many replicas, wait until the new ones are healthy, stop and remove the old."""
    old = one.apps()
    one.compose(image, "up", "--detach", "--no-recreate", "--scale", f"app={2 * one.REPLICAS}", "app")

    def all_healthy() -> bool:
        new = {name: status for name, status in one.apps().items() if name not in old}
        return len(new) == one.REPLICAS and all("(healthy)" in status for status in new.values())

    wait_until("the new ones are healthy", all_healthy, within=HEALTHY_WITHIN, every=0.2)
    _run(["docker", "stop", *old], {})
    _run(["docker", "rm", *old], {})


WAYS: Mapping[str, Callable[[Peer, str], None]] = {"recreate": recreate, "docker-rollout": roll_out}
"""Others' ways of upgrading, by name."""


def _run(argv: list[str], variables: Mapping[str, str]) -> None:
    done = subprocess.run(
        argv, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=HEALTHY_WITHIN * 2
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no output"]
        raise ClusterError(said[-1], at=" ".join(argv[:2]), hint="lab doctor")
