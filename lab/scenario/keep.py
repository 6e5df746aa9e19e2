"""A cluster by itself: bring it up and leave it, look at it, take it down."""

from __future__ import annotations

from collections.abc import Callable

from lab import record
from lab.balancer.nginx import NginxBalancer
from lab.clock import SYSTEM_CLOCK
from lab.cluster.compose import LAB_PORT, ComposeCluster, tear_down
from lab.cluster.engine import connect
from lab.cluster.places import find_places
from lab.cluster.setup import make_ready
from lab.cluster.sweep import find_clusters
from lab.deploy.deployer import Deployer
from lab.deploy.plan import Wanted
from lab.errors import ExitCode, LabError, UsageError
from lab.model import Replica
from lab.retry import wait_until
from lab.scenario.file import ClusterWish
from lab.scenario.wiring import default_project, kept_identity, release_of, start_cluster

Say = Callable[[str], None]


def bring_up_and_keep(image: str, *, project: str | None, port: int | None, say: Say) -> int:
    """Bring a cluster up, wait until every slot serves, and leave it running. Doing it again changes nothing.

    What fails on the way is taken down again, unless the cluster was there before.
    """
    places = find_places()
    toolbox = make_ready(places, say)
    project = _checked(project or default_project(places))
    was_there = any(one.identity.project == project for one in find_clusters(toolbox.engine, now=SYSTEM_CLOCK.wall()))
    if was_there:
        raise UsageError(
            "a cluster of this name is up", at=project, way_out=f"lab status -p {project}, or lab down -p {project}"
        )
    slots, release = ClusterWish(release=image).slots, release_of(toolbox, image)
    try:
        live = start_cluster(toolbox, kept_identity(project), slots, release.image, port=port)

        def tell(event: record.AnyEvent) -> None:
            if isinstance(event, record.Step) and event.action == "ready":
                say(f"{event.slot}: {event.replica} ({event.release}) is ready")

        with (
            live.balancer,
            Deployer(
                live.cluster, live.balancer, {release.name: release}, Wanted(release=release.name), tell
            ) as deployer,
        ):
            wait_until(
                "every slot serves", lambda: deployer.is_settled, within=90, next_step=f"lab status -p {project}"
            )
    except BaseException:
        tear_down(toolbox.engine, project, folder=places.cluster(project))
        raise
    say(f"{project} is up: {live.url}")
    say("  look: lab status    take down: lab down")
    return ExitCode.HELD


def take_down(project: str | None, *, say: Say) -> int:
    """Remove a cluster with its volumes, by labels. A cluster that is not there is no error."""
    places = find_places()
    project = project or default_project(places)
    removed = tear_down(connect(), project, folder=places.cluster(project))
    say("\n".join(f"removed {what}" for what in removed) or f"{project}: nothing to remove")
    return ExitCode.HELD


def show_status(project: str | None, *, say: Say) -> int:
    """Print zones, slots and who answers there; exit 0 only if every slot serves."""
    places, engine = find_places(), connect()
    project = project or default_project(places)
    cluster = ComposeCluster(engine, project=project, slots=())
    replicas = sorted(cluster.replicas(), key=lambda one: (one.slot, one.generation))
    if not replicas:
        say(f"{project}: not up\n  try: lab up")
        return ExitCode.COULD_NOT_TELL
    answering: dict[str, str] = {}
    try:
        host, port = cluster.address()
        with NginxBalancer(*cluster.address(LAB_PORT)) as balancer:
            answering = balancer.answering(sorted({one.slot for one in replicas}))
        say(f"{project}: http://{host}:{port}")
    except LabError as exc:
        say(f"{project}: {exc.what}")
    say(f"{'zone':<6}{'slot':<6}{'replica':<10}{'release':<16}{'state':<10}answers")
    for one in replicas:
        say(f"{one.zone:<6}{one.slot:<6}{one.name:<10}{one.release:<16}{one.state:<10}{_answers(one, answering)}")
    served = all(answering.get(one.slot) for one in replicas)
    return ExitCode.HELD if served else ExitCode.COULD_NOT_TELL


def _answers(replica: Replica, answering: dict[str, str]) -> str:
    return "yes" if answering.get(replica.slot) == replica.name else "no"


def _checked(project: str) -> str:
    good = project[:1].isalnum() and all(one.islower() or one.isdigit() or one in "-_" for one in project)
    if not good:
        raise UsageError("a project's name is of a-z, 0-9, - and _, beginning with a letter or digit", at=project)
    return project
