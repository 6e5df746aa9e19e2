"""Rollouts by hand: every verb writes what is wanted into the state, and leads until it is so if nobody else does."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from queue import SimpleQueue
from random import SystemRandom

from lab import record
from lab.backends.choose import connect_backend, make_backend
from lab.backends.state import open_state
from lab.clock import NS, SYSTEM_CLOCK
from lab.deploy.bearing import borne
from lab.deploy.deployer import Boundary, Deployer
from lab.deploy.desk import Desk
from lab.deploy.rollout import Ending, Phase, Rollout, RolloutRequest, pick_slots, strategy_from
from lab.deploy.script import Script, ScriptedDeployer, load_script
from lab.errors import ExitCode
from lab.machine.labels import is_owner_gone, this_process
from lab.machine.places import find_places
from lab.machine.projects import project_of
from lab.model import Value
from lab.operate.recovery import desk_of
from lab.report.sentences import tell_event
from lab.run.deployed import lost_zones_of
from lab.run.deployer_processes import ask_at_boundary, serve_events

Say = Callable[[str], None]
FRESH_LOOKS = 2
"""Rounds after which the last word on the cluster is surely not from before something died."""


class StandingCluster(Value):
    """A cluster that `lab up` made, and the desk at which it is told what to become."""

    project: str
    desk: Desk
    deployer: Deployer


@contextmanager
def at_hand(
    project: str | None,
    report: Callable[[record.AnyEvent], None],
    *,
    boundary: Boundary = lambda _moment, _step: None,
    script: Script | None = None,
) -> Iterator[StandingCluster]:
    """Open a running cluster; nothing is done to it before its deployer is told to run."""
    project = project_of(find_places(), project)
    backend = connect_backend()
    with backend.state() as state:
        desk = desk_of(backend, state, project)
        with backend.attach(project, desk.read().desired.slots) as live:
            # A lock of a script's own is as long as it says, whatever is known of who has it.
            make = live.deployer if script is None else partial(ScriptedDeployer, script)
            deployer = make(
                live.cluster,
                live.balancer,
                state,
                project,
                report,
                holder=this_process(),
                is_gone=is_owner_gone if script is None else lambda _holder: False,
                boundary=boundary,
                lost_zones=lost_zones_of(state, project),
            )
            yield StandingCluster(project=project, desk=desk, deployer=deployer)


def roll(image: str, strategy: str, given: Mapping[str, object], *, project: str | None, detach: bool, say: Say) -> int:
    """Begin a rollout and see it through. Exit 0 if the new release serves everywhere, 3 if the old one does."""
    wanted = strategy_from(strategy, given)
    backend = make_backend(say, [image])
    backend.check_rollout(wanted)
    backend.provide([image], say)
    to = backend.release(image)
    with at_hand(project, _teller(say)) as cluster:
        number = f"{SystemRandom().getrandbits(32):08x}"
        cluster.desk.roll(to, wanted, id=number, by=this_process())
        say(f"rollout {number}: {to.name}, {strategy}; to continue after a crash: lab resume")
        return ExitCode.HELD if detach else _see_through(cluster, say)


def resume(*, project: str | None, say: Say) -> int:
    """Go on with whatever is wanted of the cluster, until it is so. With nothing to do, says so."""
    with at_hand(project, _teller(say)) as cluster:
        return _see_through(cluster, say, looks=FRESH_LOOKS)


def ask(what: RolloutRequest, *, project: str | None, say: Say) -> int:
    """Turn a rollout back, and see it through."""
    with at_hand(project, _teller(say)) as cluster:
        rollout = cluster.desk.ask(what)
        say(f"rollout {rollout.id}: going back to {rollout.before.name}")
        return _see_through(cluster, say)


def approve(*, project: str | None, say: Say) -> int:
    """Let a rollout that waits for a person go on; whichever deployer leads takes it from here."""
    places = find_places()
    with open_state(places) as state:
        rollout = Desk(state, project_of(places, project), clock=SYSTEM_CLOCK).approve()
    say(f"rollout {rollout.id}: stage {rollout.approved} of {len(rollout.strategy.stages)} approved")
    return ExitCode.HELD


def scale(counts: Mapping[str, int], *, project: str | None, say: Say) -> int:
    """Want so many replicas in each zone, among the slots that the balancer knows; those that go are drained."""
    with at_hand(project, _teller(say)) as cluster:
        desired = cluster.desk.read().desired
        active = pick_slots(desired, counts)
        cluster.desk.scale(active)
        say(f"{len(active)} replicas wanted: {' '.join(active)}")
        return _see_through(cluster, say)


def lead(*, project: str | None, events: bool, rehearse: bool, script: str | None, say: Say) -> int:
    """Be a deployer until told to end: lead if nobody does, stand by otherwise."""
    own_way = None if script is None else load_script(script)
    out = sys.stdout.buffer
    report = serve_events(out) if events else _teller(say)
    told: SimpleQueue[bytes] = SimpleQueue()
    boundary = ask_at_boundary(out, told.get) if rehearse else (lambda _moment, _step: None)
    with at_hand(project, report, boundary=boundary, script=own_way) as cluster:
        if events or rehearse:
            # Whoever listens holds our standard input open: when that ends, so do we, wherever we are.
            threading.Thread(target=_hear, args=(cluster.deployer, told), daemon=True).start()
        cluster.deployer.run_until(lambda: False)
    return ExitCode.HELD


def show_lock(*, project: str | None, say: Say) -> int:
    """Who leads, since when, at which step, and what to do. Exit 0 if all is as wanted."""
    places = find_places()
    with open_state(places) as state:
        desk = Desk(state, project_of(places, project), clock=SYSTEM_CLOCK)
        for line in describe_lead(desk):
            say(line)
        return ExitCode.HELD if desk.is_settled() else ExitCode.COULD_NOT_TELL


def describe_lead(desk: Desk) -> list[str]:
    """The rollout and its leader in words."""
    desired, status, lease = desk.read().desired, desk.status(), desk.lease()
    rollout = desired.rollout
    lines = [_describe_rollout(rollout)] if rollout is not None else [f"no rollout; {desired.release.name} is wanted"]
    if status is not None and status.step:
        lines.append(f"last step: {status.step} ({_ago(status.at)})")
    if lease is not None and not is_owner_gone(lease.holder):
        lines.append(f"led by {lease.holder} since {_at(lease.since)}, fencing token {lease.token}")
        return lines
    gone = f"{lease.holder} is gone" if lease is not None else "no leader"
    todo = (
        "continue with: lab resume" if desired.under_way is not None else "dead replicas are not replaced: lab deployer"
    )
    lines.append(f"{gone}; {todo}")
    return lines


def _describe_rollout(rollout: Rollout) -> str:
    how = rollout.strategy.__struct_config__.tag
    if rollout.ending is not None:
        return (
            f"rollout {rollout.id} to {rollout.to.name} ({how}): {rollout.ending} {_ago(rollout.since)}"
            f"{f': {rollout.why}' if rollout.why else ''}"
        )
    waits = ""
    if rollout.strategy.approve and rollout.phase is Phase.WATCH and rollout.approved <= rollout.stage:
        waits = "; waits for: lab approve (or lab abort)"
    stage = f"stage {rollout.stage + 1} of {len(rollout.strategy.stages)}"
    return f"rollout {rollout.id} to {rollout.to.name} ({how}): {rollout.phase}, {stage}, {_ago(rollout.since)}{waits}"


def _see_through(cluster: StandingCluster, say: Say, *, looks: int = 0) -> int:
    """Lead, or stand by whoever does, until the cluster reaches its desired state, and for so many looks at least.

    The exit code is that of the rollout which is under way now; one that ended long ago says nothing.
    """
    told, looked = "", 0
    begun = cluster.desk.read().desired.under_way

    def is_over() -> bool:
        nonlocal told, looked
        looked += 1
        if looked <= looks:
            return False
        rollout = cluster.desk.read().desired.under_way
        line = _describe_rollout(rollout) if rollout is not None and "waits for" in _describe_rollout(rollout) else ""
        if line and rollout is not None and told != f"{rollout.id}{rollout.stage}":
            told = f"{rollout.id}{rollout.stage}"
            say(line)
        return cluster.desk.is_settled()

    cluster.deployer.run_until(borne(is_over))
    rollout = cluster.desk.read().desired.rollout
    if begun is None or rollout is None:
        say(f"{cluster.project}: as wanted")
        return ExitCode.HELD
    say(_describe_rollout(rollout))
    return ExitCode.HELD if rollout.ending is Ending.DONE else ExitCode.ROLLED_BACK


def _teller(say: Say) -> Callable[[record.AnyEvent], None]:
    """Events as the sentences that a run shows."""
    began = SYSTEM_CLOCK.now()

    def tell(event: record.AnyEvent) -> None:
        said = tell_event(event)
        if said:
            say(f"{(event.at - began) / NS:6.1f} s  {said}")

    return tell


def _hear(deployer: Deployer, told: SimpleQueue[bytes]) -> None:
    """Pass on each line of standard input, and its end; with that the deployer ends too."""
    for line in iter(sys.stdin.buffer.readline, b""):
        told.put(line)
    told.put(b"")
    deployer.end()


def _ago(at: int) -> str:
    return f"{max(0.0, SYSTEM_CLOCK.wall().timestamp() - at / NS):.0f} s ago"


def _at(at: int) -> str:
    return datetime.fromtimestamp(at / NS, UTC).astimezone().strftime("%H:%M:%S")
