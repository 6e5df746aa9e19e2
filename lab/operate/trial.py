"""`lab try`: one user of somebody's own app, alone on one replica, request by request."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from lab import record
from lab.backends.choose import make_backend
from lab.backends.protocol import Backend, order_of
from lab.backends.target import Target
from lab.clock import SYSTEM_CLOCK
from lab.deploy.rollout import first_desired
from lab.errors import ExitCode, UsageError
from lab.machine.projects import run_identity
from lab.model import Value
from lab.report.sentences import tell_event
from lab.run.crowds import own_user_of
from lab.run.deployed import deployed, wait_settled
from lab.scenario.overrides import Overrides, read_changed
from lab.scenario.read import find_scenario
from lab.scenario.spec import Edges, Scenario, lab_images_of
from lab.users import Door, Tries
from lab.users.trial import PartEnded, Trial, TriedRequest, TriedState, TriedStep, short, user_to_try
from lab.users.turns import Turns

Say = Callable[[str], None]

TRIED_WITHIN = 10.0
"""Seconds that a trial may take once the app serves."""
SERVES_WITHIN = 90.0
WORDS = {"unexpected": "not as expected"}
"""What an answer is called that the journey did not take for what it asked."""


class TrialRequest(Value):
    """What `lab try` was asked for."""

    scenario: str
    actions: int = 3
    seed: int = 1
    overrides: Overrides = Overrides()


def try_scenario(spec: TrialRequest, say: Say, backend: Backend | None = None) -> int:
    """Let one user go through the journey on one replica, and say what would be checked: exit code 0, or 5 for nothing.

    Raises UsageError for a scenario of the lab's own shop, and whatever keeps the cluster from coming up.
    """
    scenario = read_changed(find_scenario(spec.scenario), spec.overrides)
    make = own_user_of(scenario.users)
    if make is None:
        raise UsageError("has no journey of your own to try", at=spec.scenario, hint=f"lab run {spec.scenario}")
    say(scenario.title)

    def tell(step: TriedStep) -> None:
        for line in trial_lines(step):
            say(line)

    with _door_of(scenario, say, backend) as door:
        say("")
        trial = Trial(
            make,
            door,
            user=user_to_try(1, spec.seed, _prefix_of(scenario)),
            turns=Turns(scenario.target.rate) if scenario.target is not None and scenario.target.rate else None,
            policy=Tries(most=scenario.users.tries, timeout=scenario.users.answer_timeout),
            tell=tell,
        )
        tried = trial.run_apart(spec.actions, within=TRIED_WITHIN)
    say("")
    if tried.mistake:
        say(f"nothing would be checked, because {tried.mistake}")
        return ExitCode.TOO_LITTLE_CHECKED
    reads = f"{tried.compared} of {spec.actions} reads after an action" if spec.actions > 1 else "the read after it"
    say(f"this would be checked: {reads} could have shown a loss, and none did")
    say(f"  next: lab run {spec.scenario}")
    return ExitCode.HELD


def _prefix_of(scenario: Scenario) -> str:
    """What a target keeps of earlier accounts must not be taken for what this one did."""
    return "user" if scenario.target is None else f"t{int(SYSTEM_CLOCK.wall().timestamp()):x}"


@contextmanager
def _door_of(scenario: Scenario, say: Say, backend: Backend | None) -> Iterator[Door]:
    """Where one user finds the app: a target's first door, or one replica that is brought up and removed again."""
    if scenario.target is not None:
        target = Target(scenario.target)
        target.check()
        yield target.doors[0]
        return
    alone = on_one_replica(scenario)
    backend = backend or make_backend(say, lab_images_of(alone))
    backend.check(alone.cluster, [alone.cluster.release], say)
    backend.sweep_abandoned(say)

    def show(event: record.AnyEvent) -> None:
        if isinstance(event, record.NotReady | record.Trouble):
            say(tell_event(event))

    slots, release = alone.cluster.slots, backend.release(alone.cluster.release)
    say(f"  one user on one replica of {release.name}, {slots[0].name}; it is coming up")
    order = order_of(alone, run_identity(f"try-{secrets.token_hex(4)}"))
    first = first_desired(release, slots)
    with (
        backend.bring_up(order) as live,
        backend.state() as state,
        deployed(live, state, show, first=first) as (desk, deployer),
    ):
        wait_settled(desk, deployer, within=max(SERVES_WITHIN, 3 * alone.cluster.ready_within))
        live.start_later()
        host, port = live.doors[0]
        yield Door(host=host, port=port)


def on_one_replica(scenario: Scenario) -> Scenario:
    """The same with a cluster of one replica, and nothing that is done to it."""
    zone = next(iter(scenario.cluster.zones))
    cluster = msgspec.structs.replace(scenario.cluster, zones={zone: 1}, edges=Edges.ONE, begin_with=None)
    return msgspec.structs.replace(scenario, cluster=cluster, steps=(), deployers=0, script=None, autoscale=None)


def trial_lines(step: TriedStep) -> Iterator[str]:
    """A step of a trial for people, one line or two."""
    match step:
        case TriedRequest():
            to = f" -> {step.to}" if step.to else ""
            by = f"  {step.replica}" if step.replica else ""
            mark, took = ("✓", "") if step.came == "done" else ("✕", f"  {WORDS.get(step.came, step.came)}")
            yield (
                f"  {mark} {step.part:<6} {step.line:<22} {step.asked}  {step.result}{to}{by}"
                f"  {step.seconds * 1000:.0f} ms{took}"
            )
            if step.said:
                yield f"           it says: {step.said}"
        case PartEnded():
            if step.why:
                yield f"  ✕ {step.part} ended early: {step.why}"
        case TriedState():
            mark = "=" if step.fits else "≠"
            held = "whatever it shows first" if step.allowed is None else short(step.allowed[-1])
            yield f"    the app shows {short(step.shown)} {mark} acknowledged: {held}"
            if step.could_not_fail:
                yield f"    this comparison could not have failed: {step.could_not_fail}"
