"""Puts real parts together: the only module that names backends."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager

from lab.balancer.config import Affinity, BalancerSettings, render
from lab.balancer.nginx import NginxBalancer
from lab.clock import SYSTEM_CLOCK, Clock
from lab.cluster.commands import ClusterPlan
from lab.cluster.compose import LAB_PORT, ComposeCluster, bring_up, tear_down, write_files
from lab.cluster.labels import KEPT, Identity, this_process
from lab.cluster.places import Places
from lab.cluster.setup import Toolbox
from lab.errors import LabError
from lab.model import Release, Slot, Value
from lab.retry import wait_until

RUN_LIVES = 3600
KEPT_LIVES = 24 * 3600
"""Seconds after which anybody's `lab clean` may remove a cluster whatever became of its owner."""


class LiveCluster(Value):
    """A cluster whose balancer answers; replicas are the deployer's business."""

    project: str
    cluster: ComposeCluster
    balancer: NginxBalancer
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def release_of(toolbox: Toolbox, image: str) -> Release:
    """The release that an image's name stands for: "shop:v1" is release v1."""
    return Release(name=image.partition(":")[2] or image, image=toolbox.images.tag(image))


def run_identity(run: str, clock: Clock = SYSTEM_CLOCK) -> Identity:
    """The identity of a cluster that lives as long as this process."""
    return _identity(f"lab-{run}", run, this_process(), RUN_LIVES, clock)


def kept_identity(project: str, clock: Clock = SYSTEM_CLOCK) -> Identity:
    """The identity of a cluster that outlives this process, until `lab down` or a day has passed."""
    return _identity(project, "kept", KEPT, KEPT_LIVES, clock)


def default_project(places: Places) -> str:
    """This checkout's own project, different from that of a folder of the same name elsewhere."""
    stem = re.sub(r"[^a-z0-9]+", "-", places.root.name.lower()).strip("-") or "lab"
    return f"lab-{stem[:24]}-{hashlib.sha256(str(places.root).encode()).hexdigest()[:6]}"


@contextmanager
def temporary_cluster(
    toolbox: Toolbox,
    identity: Identity,
    slots: tuple[Slot, ...],
    app_image: str,
    *,
    affinity: Affinity = Affinity.NONE,
    port: int | None = None,
) -> Iterator[LiveCluster]:
    """A cluster that is gone afterwards, however the block ends; teardown is entered before anything is made."""
    folder = toolbox.places.cluster(identity.project)
    try:
        live = start_cluster(toolbox, identity, slots, app_image, affinity=affinity, port=port)
        with live.balancer:
            yield live
    finally:
        tear_down(toolbox.engine, identity.project, folder=folder)


def start_cluster(
    toolbox: Toolbox,
    identity: Identity,
    slots: tuple[Slot, ...],
    app_image: str,
    *,
    affinity: Affinity = Affinity.NONE,
    port: int | None = None,
) -> LiveCluster:
    """Bring up balancer, store and pattern, and wait until the balancer answers. The caller tears down."""
    plan = ClusterPlan(
        identity=identity,
        compose_file=toolbox.places.compose_file,
        folder=toolbox.places.cluster(identity.project),
        app_image=app_image,
        nginx_image=toolbox.images.tag("nginx"),
        redis_image=toolbox.images.tag("redis"),
        port=port,
    )
    write_files(plan, render(slots, BalancerSettings(affinity=affinity)))
    cluster = bring_up(toolbox.engine, toolbox.compose, plan, slots)
    balancer = NginxBalancer(*cluster.address(LAB_PORT))
    try:
        wait_until("the balancer answers", balancer.is_alive, within=30, every=0.1, next_step="lab status")
    except LabError:
        balancer.__exit__(None, None, None)
        raise
    host, users_port = cluster.address()
    return LiveCluster(project=identity.project, cluster=cluster, balancer=balancer, host=host, port=users_port)


def _identity(project: str, run: str, owner: str, lives: int, clock: Clock) -> Identity:
    return Identity(project=project, run=run, owner=owner, expires=int(clock.wall().timestamp()) + lives)
