"""A cluster by itself: bring it up and leave it, look at it, take it down."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lab import record
from lab.backends.choose import connect_backend, make_backend
from lab.backends.protocol import Backend, ClusterOrder
from lab.clock import SYSTEM_CLOCK
from lab.cluster.stores import OrdersPlace, StoreName
from lab.deploy.rollout import first_desired
from lab.errors import ExitCode, LabError, UsageError
from lab.machine.images import POSTGRES
from lab.machine.labels import KEPT, surely_runs
from lab.machine.places import find_places
from lab.machine.projects import default_project, kept_identity, project_of
from lab.model import Replica, Value
from lab.operate.recovery import desk_of
from lab.operate.rollouts import describe_lead
from lab.run.deployed import deployed, wait_settled
from lab.scenario.spec import ClusterSpec

Say = Callable[[str], None]
LOOK_EVERY = 1.0
"""Seconds between two looks at a cluster that is watched."""


class KeptStores(Value):
    """What is to keep the state, in a scenario's words."""

    store: str = StoreName.REDIS
    orders: str = OrdersPlace.REDIS

    def spec(self, image: str) -> ClusterSpec:
        """The whole cluster, with that. Raises UsageError for a store that there is none of."""
        if self.store not in set(StoreName):
            raise UsageError("no such store", at=f"--store {self.store}", hint=" | ".join(StoreName))
        return ClusterSpec(release=image, store=StoreName(self.store), orders=OrdersPlace(self.orders))


def bring_up_and_keep(image: str, keeps: KeptStores, *, project: str | None, port: int | None, say: Say) -> int:
    """Bring a cluster up, wait until every slot serves, and leave it running. Doing it again changes nothing.

    What fails on the way is taken down again, unless the cluster was there before.
    """
    spec = keeps.spec(image)
    project = project_of(find_places(), project)
    backend = make_backend(say, [image, *((POSTGRES,) if spec.stores.has_orders else ())])
    if backend.is_there(project):
        raise UsageError(
            "a cluster of this name is up", at=project, hint=f"lab status -p {project}, or lab down -p {project}"
        )
    backend.check(spec, (), say)
    slots, release = spec.slots, backend.release(image)
    may_be_empty = len(slots) - 1  # `lab scale` may leave one
    order = ClusterOrder(identity=kept_identity(project), spec=spec, may_be_empty=may_be_empty, port=port)
    is_kept = False

    def show(event: record.AnyEvent) -> None:
        if isinstance(event, record.Step) and event.action == "ready":
            say(f"{event.slot}: {event.replica} ({event.release}) is ready")

    with backend.bring_up(order, is_kept=lambda: is_kept) as live, backend.state() as state:
        with deployed(live, state, show, first=first_desired(release, slots)) as (desk, deployer):
            wait_settled(desk, deployer, within=90)
        is_kept = True
    say(f"{project} is up: {live.url}")
    named = "" if project == default_project(find_places()) else f" -p {project}"
    say("  open it in a browser; any name and password make an account")
    say(f"  watch it: lab status{named} --watch    lab ui --cluster{named}")
    say(f"  upgrade it: lab roll shop:v2{named}    break it: lab kill a1{named}    remove it: lab down{named}")
    say(f"  nobody replaces what dies until: lab deployer{named}")
    return ExitCode.HELD


def bring_down(project: str | None, *, say: Say, is_agreed: bool = False) -> int:
    """Remove a cluster with its volumes, by labels. A cluster that is not there is no error.

    Raises UsageError for the cluster of a run that may be going on, unless that `is_agreed`.
    """
    project = project_of(find_places(), project)
    backend = connect_backend()
    if not is_agreed:
        _check_is_nobodys_run(backend, project)
    removed = backend.take_down(project)
    say("\n".join(f"removed {what}" for what in removed) or f"{project}: nothing to remove")
    return ExitCode.HELD


def _check_is_nobodys_run(backend: Backend, project: str) -> None:
    """A run's cluster goes with its run: taken away before, it leaves a run that can tell nothing."""
    one = backend.owner(project)
    if one is not None and one.identity.owner != KEPT and not one.is_abandoned:
        knows = "goes on" if surely_runs(one.identity.owner) else "may go on"
        raise UsageError(
            f"is the cluster of the run {one.identity.run}, which {knows} ({one.identity.owner})",
            at=project,
            hint=f"end that run; or, so that it can tell nothing: lab down -p {project} --yes",
        )


def show_status(project: str | None, *, say: Say) -> int:
    """Print zones, slots and who answers there; exit 0 only if every slot that is to have a replica serves."""
    project = project_of(find_places(), project)
    lines, code = status_of(connect_backend(), project)
    for line in lines:
        say(line)
    return code


def watch_status(project: str | None, *, say: Say, redraw: Callable[[Sequence[str]], None] | None) -> int:
    """The same again and again, until Ctrl-C or the cluster is gone: redrawn, or told whenever it changes."""
    project, backend, before = project_of(find_places(), project), connect_backend(), list[str]()
    while True:
        lines, code = status_of(backend, project)
        if redraw is not None:
            redraw([f"{SYSTEM_CLOCK.wall():%H:%M:%S} UTC", *lines])
        elif lines != before:
            say("\n".join(lines))
        before = lines
        if not backend.is_there(project):
            return code
        SYSTEM_CLOCK.sleep(LOOK_EVERY)


def show_log(named: str, project: str | None, *, last: int, follows: bool, say: Say) -> int:
    """Print the last lines that somebody in the cluster wrote, and with `follows` those that come, until Ctrl-C."""
    project = project_of(find_places(), project)
    for line in connect_backend().log_lines(project, named, last=last, follows=follows):
        say(line)
    return ExitCode.HELD


def status_of(backend: Backend, project: str) -> tuple[list[str], ExitCode]:
    """A cluster as it stands, for people, and whether every slot that is to have a replica serves."""
    replicas = sorted(backend.cluster(project).replicas(), key=lambda one: (one.slot, one.generation))
    if not replicas:
        return [f"{project}: not up\n  try: lab up"], ExitCode.COULD_NOT_TELL
    lines, answering = list[str](), dict[str, str]()
    try:
        with backend.attach(project, ()) as live:
            found = live.balancer.holders({one.slot for one in replicas})
            answering = {slot: answer.replica for slot, answer in found.items() if answer.is_ready}
        lines.append(f"{project}: {'  '.join(f'http://{host}:{port}' for host, port in live.doors)}")
    except LabError as exc:
        lines.append(f"{project}: {exc.what}")
    lines.append(f"{'zone':<6}{'slot':<6}{'replica':<10}{'release':<16}{'state':<10}answers")
    lines += [
        f"{one.zone:<6}{one.slot:<6}{one.name:<10}{one.release:<16}{one.state:<10}{_answers(one, answering)}"
        for one in replicas
    ]
    with backend.state() as state:
        desk = desk_of(backend, state, project, say=lines.append)
        desired = desk.read().desired
        filled = {one.slot for one in replicas}
        lines += [
            f"{slot.zone:<6}{slot.name:<6}{'nobody':<10}{'':<16}{'':<10}no"
            for slot in desired.slots
            if slot.name in desired.active and slot.name not in filled
        ]
        lines += describe_lead(desk)
    served = all(answering.get(slot) for slot in desired.active)
    return lines, ExitCode.HELD if served else ExitCode.COULD_NOT_TELL


def _answers(replica: Replica, answering: dict[str, str]) -> str:
    return "yes" if answering.get(replica.slot) == replica.name else "no"
