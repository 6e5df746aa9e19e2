"""Breaking the cluster of `lab up` by hand, one fault or a whole zone: told first, bounded, and healed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

import msgspec

from lab import record
from lab.backends.choose import connect_backend
from lab.chaos.faults import Signal, find_fault
from lab.chaos.guard import BlastRadius, Capacity
from lab.chaos.opened import OpenFaults
from lab.chaos.striker import Striker, StrikeResult, StrikerParts
from lab.clock import SYSTEM_CLOCK
from lab.cluster.harm import Victim
from lab.deploy.desk import Desk
from lab.errors import ExitCode, UsageError
from lab.machine.engine import try_connect
from lab.machine.halt import halt_in, lift_in
from lab.machine.labels import is_owner_gone, this_process
from lab.machine.places import find_places
from lab.machine.projects import project_of
from lab.model import ReplicaState, Role, Value
from lab.operate.recovery import desk_of
from lab.operate.rollouts import resume
from lab.record import StrikeSource
from lab.report.sentences import tell_event
from lab.run.strike_steps import pick_fault, pick_victims
from lab.scenario.bounds import LARGEST
from lab.scenario.strike_spec import ANY, check_cut, role_of, zone_of

Say = Callable[[str], None]
JOURNAL = "strikes.jsonl"
"""In the cluster's folder: every strike by hand, written before it is done."""


class StrikeRequest(Value):
    """What somebody asks for on the command line."""

    do: str
    to: str = ANY
    """As in a scenario's `strike`; or, with `in_zone`, anybody there."""
    off: str = ""
    """Whom a cut is from, as in a scenario; everybody if not given."""
    in_zone: str = ""
    signal: Signal = "SIGKILL"
    seconds: float | None = None
    """How long it lasts; None: until `lab heal`."""
    dry_run: bool = False


@contextmanager
def striker_at_hand(project: str | None, radius: BlastRadius, say: Say) -> Iterator[Striker]:
    """Whoever strikes a running cluster by hand. What is open is found in the state, whichever process left it."""
    places = find_places()
    project = project_of(places, project)
    backend = connect_backend()
    with backend.state() as state:
        desk = desk_of(backend, state, project, say=say)
        slots = desk.read().desired.slots
        opened = OpenFaults(state, project)
        last = max((one.strike for one in opened.read().faults), default=0)
        with backend.attach(project, slots) as live:
            cluster, balancer = live.cluster, live.balancer

            def standing() -> Capacity:
                active = set(desk.read().desired.active)
                there = {one.name: one.container for one in cluster.replicas() if one.state is ReplicaState.RUNNING}
                ready = {slot: said.replica for slot, said in balancer.holders(active).items() if said.is_ready}
                return Capacity(
                    zone_of={slot.name: slot.zone for slot in slots if slot.name in active},
                    serving={slot: there[name] for slot, name in ready.items() if name in there},
                )

            def evidence(victim: Victim) -> str:
                if victim.role is not Role.APP:
                    return "it ran" if victim.is_running else ""
                answer = balancer.holders([victim.slot]).get(victim.slot)
                serves = answer is not None and answer.is_ready and answer.replica == victim.name
                return "it was ready and had its slot" if serves else ""

            ground = StrikerParts(
                target=live.strikable,
                opened=opened,
                standing=standing,
                evidence=evidence,
                report=_journal(places.cluster(project) / JOURNAL, say),
                numbers=itertools.count(last + 1),
                by=this_process(),
                halted=live.halted,
                primary=live.stores.primary,
                unwell=live.stores.trouble,
            )
            yield Striker(ground, radius, steady_first=False)


def strike(spec: StrikeRequest, radius: BlastRadius, *, project: str | None, say: Say) -> int:
    """One fault, now. Exit 0 if it hit what served, 2 if the blast radius refuses it, 4 if it hit nothing."""
    find_fault(spec.do, role_of(spec.to))
    check_cut(spec.do, spec.to, spec.off)
    _check_lasting(spec.seconds)
    with striker_at_hand(project, radius, say) as striker:
        there = striker.victims()
        in_zone = [one for one in there if spec.in_zone in {"", one.zone}]
        victims = pick_victims(in_zone, spec.to, SystemRandom(), striker.primary)
        fault = pick_fault(spec.do, spec.to, spec.off, there, victims, striker.primary)
        if _is_only_told(striker, spec, victims, fault.text(spec.signal), say):
            return ExitCode.HELD
        struck = striker.strike(fault, victims, signal=spec.signal, source=StrikeSource.HAND)
        if fault.lasts or any(one.role is not Role.APP for one in victims):
            _last(spec.seconds, lambda: striker.undo([one.strike for one in struck]), say)
    code = _told(struck, say, enough=any if zone_of(spec.to) else all)
    if not fault.lasts and any(one.role is Role.APP for one in victims) and not _is_led(project):
        say("  it stays dead: nobody leads who would replace it; lab deployer does")
    return code


def _is_led(project: str | None) -> bool:
    """Whether somebody alive makes the cluster what it should be."""
    with connect_backend().state() as state:
        lease = Desk(state, project_of(find_places(), project), clock=SYSTEM_CLOCK).lease()
        return lease is not None and not is_owner_gone(lease.holder)


def lose_zone(
    zone: str,
    radius: BlastRadius,
    *,
    cut_off: bool,
    seconds: float | None,
    dry_run: bool,
    project: str | None,
    say: Say,
) -> int:
    """A whole zone, now; nothing is made there until it is back."""
    _check_lasting(seconds)
    with striker_at_hand(project, radius, say) as striker:
        victims = striker.in_zone(zone)
        spec = StrikeRequest(do="cut" if cut_off else "kill", dry_run=dry_run)
        if _is_only_told(striker, spec, victims, "cut" if cut_off else "SIGKILL", say, zone=zone):
            return ExitCode.HELD
        struck = striker.lose_zone(zone, cut_off=cut_off, source=StrikeSource.HAND)
        _last(seconds, lambda: striker.regain_zone(zone), say)
    return _told(struck, say)


def heal(*, project: str | None, say: Say) -> int:
    """Undo everything that is open, whoever left it, then see to it that every slot serves."""
    tidied = project_of(find_places(), project)
    connect_backend().tidy(tidied)
    with striker_at_hand(project, BlastRadius(), lambda _: None) as striker:
        for line in striker.heal() or ["nothing to undo"]:
            say(line)
    return resume(project=project, say=say)


def halt_strikes(*, over: bool, say: Say) -> int:
    """Let no lab on this engine strike any more, runs that go on included; or let them again.

    Runs of this folder that watch somebody else's deployment stop as well, for which no engine is needed.
    """
    own, who = find_places().own, f"{this_process()}, {SYSTEM_CLOCK.wall():%Y-%m-%d %H:%M:%S}"
    was_halted = lift_in(own) if over else halt_in(own, who)
    if was_halted and try_connect() is None:
        say("this folder's labs may watch again" if over else f"this folder's labs watch no more (halted by {who})")
        return ExitCode.HELD
    backend = connect_backend()
    if over:
        say("labs on this engine may strike again" if backend.lift() or was_halted else "strikes were not halted")
        return ExitCode.HELD
    say(f"no lab on this engine will strike (halted by {backend.halt(who)}); until: lab halt --over")
    return ExitCode.HELD


def _is_only_told(
    striker: Striker, spec: StrikeRequest, victims: Sequence[Victim], what: str, say: Say, *, zone: str = ""
) -> bool:
    """Say who is struck and within which bounds. Whether that was all that is wanted; a refusal raises."""
    to = " to" if what.startswith("SIG") else ":"
    say(f"{what}{to} {', '.join(one.name for one in victims)}")
    say(f"  blast radius: {striker.radius.text}")
    refused = striker.refusal(victims, zone=zone)
    if spec.dry_run and refused:
        raise UsageError(f"would be refused: {refused}", at="blast radius", hint="lab heal, or a larger radius")
    if spec.dry_run:
        say("  dry run: nothing was done")
    return spec.dry_run


def _check_lasting(seconds: float | None) -> None:
    """Before anything is struck that nobody would undo."""
    if seconds is not None and not 0 <= seconds <= LARGEST:
        raise UsageError(f"must be from 0 to {LARGEST:g}", at=f"--for {seconds:g}", hint="--for 10")


def _last(seconds: float | None, undo: Callable[[], None], say: Say) -> None:
    """Let it last; it is undone at the end and on Ctrl-C, or left to `lab heal` where no time was told."""
    if seconds is None:
        say("  undo it with: lab heal")
        return
    try:
        SYSTEM_CLOCK.sleep(seconds)
    finally:
        undo()


def _told(struck: Sequence[StrikeResult], say: Say, *, enough: Callable[[Iterable[bool]], bool] = all) -> int:
    """Say who was hit. Of two zones that are cut apart some talked to each other, and need not all have."""
    for one in struck:
        say(f"{'hit' if one.hit else 'missed'} {one.victim.name}: {one.why}")
    return ExitCode.HELD if struck and enough(one.hit for one in struck) else ExitCode.COULD_NOT_TELL


def _journal(path: Path, say: Say) -> Callable[[record.AnyEvent], None]:
    encoder = msgspec.json.Encoder()

    def report(event: record.AnyEvent) -> None:
        with path.open("ab") as journal:
            journal.write(encoder.encode(event) + b"\n")
        said = tell_event(event)
        if said:
            say(f"  {said}")

    return report
