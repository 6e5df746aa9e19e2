"""Judges a run from its record alone: no engine, no cluster, and the same verdict on any machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from lab.clock import NS
from lab.cluster.protocol import StopWay
from lab.collection import no_collection
from lab.errors import RecordError, UsageError
from lab.model import Finding, Role, Value
from lab.oracle import Oracle
from lab.oracle.closing import RunFacts, closing_lines, takes_a_place
from lab.oracle.crossing import Answerers, Crossing, find_crossing
from lab.oracle.engine_away import away_spans
from lab.oracle.engine_words import ended_by_themselves
from lab.oracle.loss import LossJudgement, judge_loss, store_strikes
from lab.oracle.own_loss import judge_own_loss
from lab.oracle.promises import APPLIED_ONCE, OWN_DATA, RunTerms, asked_promises
from lab.oracle.service import ServiceReport, ServiceRules
from lab.oracle.taken_down import find_taken_down
from lab.oracle.telling import not_checked
from lab.oracle.verdict import Evidence, Judgement, gather, judge
from lab.oracle.workers import lost_workers, widened
from lab.record import (
    AnyEvent,
    CommandBegan,
    CommandEnded,
    MachineBusy,
    ReadRecord,
    RolloutMoved,
    Step,
    Strike,
    StrikeProved,
    Trouble,
    WouldStrike,
    ZoneLost,
)
from lab.report.plan import RunPlan
from lab.run.causes import with_causes
from lab.run.due import due_of
from lab.run.judge_target import nothing_new, unseen
from lab.run.release_contents import ReleaseContents
from lab.run.tally import Tally, parts_of, take_in_processes
from lab.run.tested import parts_tested
from lab.scenario.renames import with_new_keys
from lab.scenario.spec import Scenario, rolled_to, walk_steps

OLD_FLOOR = 5
"""Replicas that had to serve where a record of before 2026-12 asks for no number."""


class JudgedRun(Value):
    """A judged run with what its closing lines need."""

    judgement: Judgement
    service: ServiceReport
    began: int
    replacements: int
    zones_lost: int = 0
    kills: int = 0
    """Strikes that were a signal to one victim, and no part of a zone's loss."""
    other_strikes: int = 0
    """And those that were another fault."""

    def closing(self, *, seconds: float, report: str, repeat: str) -> tuple[str, str, str]:
        """The last three lines of the run."""
        facts = RunFacts(
            began=self.began,
            seconds=seconds,
            replacements=self.replacements,
            kills=self.kills,
            other_strikes=self.other_strikes,
            zones_lost=self.zones_lost,
            report=report,
            repeat=repeat,
        )
        return closing_lines(self.judgement, facts)


def scenario_of(seen: ReadRecord) -> Scenario:
    """What was run. Raises RecordError where the record does not say it, or not in the way of this lab."""
    document = seen.document("scenario.json")
    if document is None:
        raise RecordError("the record holds no scenario", at=str(seen.folder), hint="run it again")
    try:
        scenario = msgspec.convert(with_new_keys(document), Scenario)
        return scenario if seen.format is not None else _with_old_floor(scenario)
    except (msgspec.ValidationError, UsageError) as exc:
        at = str(seen.folder / "scenario.json")
        raise RecordError(f"is not a scenario that this lab can read: {exc}", at=at, hint="run it again") from exc


def _with_old_floor(scenario: Scenario) -> Scenario:
    """Records without a format are from when `serving_at_least` was 5 where nothing was given."""
    given = scenario.promises.serving_at_least
    promises = msgspec.structs.replace(scenario.promises, serving_at_least=OLD_FLOOR if given is None else given)
    return msgspec.structs.replace(scenario, promises=promises)


def judge_run(
    seen: ReadRecord, *, is_over: bool = False, so_far: bool = False, processes: int = 1, parts: int = 0
) -> JudgedRun:
    """Read a run's record and judge it by the scenario that is part of it, with its users divided among `processes`.

    A long record is judged in several `parts`, one after another, each in the memory that its users need; 0: as many as
    its length asks for.

    `is_over`: whoever asks has written it, and but for the verdict nothing more comes. `so_far`: it goes on, and what
    is missing of it proves nothing yet.

    Raises RecordError where there is no scenario to judge by; whatever else is missing or torn is for the verdict to
    say.
    """
    scenario = scenario_of(seen)
    releases = ReleaseContents.of(seen, scenario)
    taken = _take_in(seen, scenario, releases, is_over, processes, parts or parts_of(seen.size, processes))
    tally, events, answered, crashed = taken.tally, taken.events, taken.answered, taken.crashed
    if crashed and taken.parts > 1:
        whole = ReadRecord(seen.folder)
        return judge_run(whole, is_over=is_over, so_far=so_far, parts=1)  # whose lines have their numbers
    report = tally.service.report()
    rolled_back = any(isinstance(event, RolloutMoved) and event.ending == "rolled back" for event in events)
    failed_commands = _failed_commands(events)
    terms = _terms(scenario, rolled_back=rolled_back or _never_rolled(events, failed_commands))
    events.sort(key=lambda event: event.at)
    crossing = find_crossing(events, answered) if scenario.target is not None else Crossing(release=releases.new)
    evidence = gather(
        tally.oracle,
        report,
        last=tally.last,
        new_release=crossing.release,
        nothing_new=tuple(nothing_new(scenario, crossing)),
        torn=max(seen.torn, tally.torn),
        lacks_operations=tally.whole.lacks_operations,
        crashed=crashed,
        rolled_back=rolled_back,
        failed_commands=failed_commands,
        is_mistaken=any(isinstance(event, Trouble) and event.is_mistake for event in events),
        proves_nothing=any(isinstance(event, Trouble) and event.proves_nothing for event in events),
        lost=taken.lost,
        terms=terms,
        occasions=None if tally.occasions is None else tally.occasions.counts(),
        taken_down=find_taken_down(events, until=tally.last),
        away=away_spans(events),
        lost_workers=lost_workers(events),
        busy=[event for event in events if isinstance(event, MachineBusy)],
        fallen=ended_by_themselves(events, events),
    )
    missing = () if crashed or so_far else tally.whole.reasons(is_over=is_over, due=due_of(seen, scenario))
    evidence = _with_kept_out(evidence, tally.logins.findings(), troubles=missing)
    asked = asked_promises(terms)
    if scenario.users.are_of_own_app:
        asked = (*asked[:1], *_told_by_members(evidence), *asked[1:])
    judgement = judge(evidence, scenario.enough, asked)
    findings, likely = with_causes(scenario, judgement, events, seen, is_whole=not crashed)
    unchecked = (
        *not_checked(judgement, report),
        *_never_done(scenario, events, releases),
        *(_stated(scenario) if scenario.target is None else unseen(scenario.target, crossing, answered.sent)),
    )
    strikes = _are_kills(events)
    return JudgedRun(
        judgement=msgspec.structs.replace(
            judgement,
            findings=findings,
            likely="" if seen.holds_back_cause else likely,
            not_checked=unchecked,
            tested=parts_tested(scenario, evidence, events),
        ),
        service=report,
        zones_lost=sum(isinstance(event, ZoneLost) for event in events),
        kills=sum(strikes),
        other_strikes=len(strikes) - sum(strikes),
        began=min((event.at for event in events), default=0),
        replacements=_replacements(events, releases),
    )


@dataclass
class _TakenIn:
    """All that stands in a record, fed to whoever judges it; `crashed` says what kept them from the rest of it."""

    tally: Tally
    answered: Answerers
    events: list[AnyEvent] = field(default_factory=list)
    parts: int = 1
    lost: LossJudgement | None = None
    crashed: str = ""


def _take_in(
    seen: ReadRecord,
    scenario: Scenario,
    releases: ReleaseContents,
    is_over: bool,
    processes: int,
    parts: int,
) -> _TakenIn:
    rules = _rules(scenario)
    taken = _TakenIn(Tally(rules), Answerers(()), parts=parts)
    tally = taken.tally
    try:
        taken.events += seen.events()
        tally.take_events(taken.events, releases.new)
        taken.answered = Answerers(taken.events)
        is_cut = tally.whole.is_cut_off(is_over=is_over, has_end=due_of(seen, scenario).has_end)
        if scenario.target is not None:
            tally.take(seen.history(), is_cut_off=is_cut, also=taken.answered.feed)
        elif parts > 1:
            take_in_processes(
                tally,
                seen,
                rules,
                releases.new,
                processes=processes,
                parts=parts,
                is_cut_off=is_cut,
            )
        else:
            tally.take(seen.history(), is_cut_off=is_cut)
        tally.whole.read(seen.checksum)
        with no_collection():
            taken.lost = _judge_loss(scenario, tally.oracle, seen, widened(taken.events))
    except RecordError as exc:
        taken.crashed = f"{exc.at}: {exc.what}"
    except Exception as exc:  # noqa: BLE001 -- a check that dies is "could not tell", never green and never lost
        taken.crashed = f"{type(exc).__name__}: {exc}"
    return taken


def _replacements(events: Sequence[AnyEvent], releases: ReleaseContents) -> int:
    """Of replicas by others; another tag of the same image replaces nothing."""
    entered = set[str]()
    places = [event for event in events if takes_a_place(event, entered)]
    return sum(not (isinstance(event, Step) and event.why == "upgrade" and releases.same) for event in places)


def _never_rolled(events: Sequence[AnyEvent], failed_commands: Sequence[str]) -> bool:
    """Whether a release was given up before any of it started, by what was to be run before."""
    return bool(failed_commands) and not any(isinstance(event, RolloutMoved) for event in events)


def _are_kills(events: Sequence[AnyEvent]) -> list[bool]:
    """Of each strike that hit one victim, and no whole zone: whether it was a kill."""
    missed = {event.strike for event in events if isinstance(event, StrikeProved) and not event.hit}
    made = [event for event in events if isinstance(event, Strike) and event.strike not in missed]
    return [event.fault_kind == "kill" for event in made if not event.whole_zone]


def _with_kept_out(evidence: Evidence, found: Sequence[Finding], *, troubles: Sequence[str]) -> Evidence:
    """With those whose logins never worked since several replicas answered them, and what is wrong with the record."""
    evidence = msgspec.structs.replace(evidence, troubles=(*evidence.troubles, *troubles))
    if not found:
        return evidence
    hurt = {one.user for one in (*evidence.findings, *found) if one.user}
    return msgspec.structs.replace(
        evidence, findings=(*found, *evidence.findings), users_hurt=max(evidence.users_hurt, len(hurt))
    )


def _failed_commands(events: Sequence[AnyEvent]) -> tuple[str, ...]:
    """How the commands ended that did not succeed; what was ended with the run itself has failed at nothing."""
    argv = {event.command: " ".join(event.argv) for event in events if isinstance(event, CommandBegan)}
    return tuple(
        f"the command {argv.get(event.command, event.command)} "
        + (f"ended with {event.code}" if event.code > 0 else f"was ended by signal {-event.code}")
        for event in events
        if isinstance(event, CommandEnded) and event.code
    )


def _told_by_members(evidence: Evidence) -> tuple[str, ...]:
    """Of somebody's own app: the promises by which it can be judged, as members of its lists are unique: so one that is
    doubled is seen, and one that is another user's."""
    broken = {one.promise for one in evidence.findings}
    return tuple(name for name in (APPLIED_ONCE, OWN_DATA) if evidence.checks.get(name) or name in broken)


def _judge_loss(
    scenario: Scenario, oracle: Oracle, seen: ReadRecord, events: Sequence[AnyEvent]
) -> LossJudgement | None:
    """What strikes on the store cost, by its bound; None where it states none, or none of it was struck."""
    bound, strikes = _bound(scenario), store_strikes(events)
    if bound is None or not strikes:
        return None
    judge_it = judge_loss if scenario.cluster.compose is None else judge_own_loss
    return judge_it(oracle, seen.history, strikes, bound)


def _bound(scenario: Scenario) -> float | None:
    """What the store may lose: the scenario's own word, or else its tier's; somebody's own store has no tier."""
    asked = scenario.promises.loses_at_most
    if scenario.target is not None:
        return None
    if scenario.cluster.compose is not None:
        return asked
    return scenario.cluster.stores.tier.loses_at_most if asked is None else asked


def _stated(scenario: Scenario) -> tuple[str, ...]:
    """What its store says that it may lose, and what the lab did in the app's place: nothing is claimed about that."""
    cluster, tier = scenario.cluster, scenario.cluster.stores.tier
    if cluster.compose is None:
        return (f"the store, {tier.name}, may lose {tier.bound}",)
    if cluster.stop is StopWay.AFTER_ANSWERS and rolled_to(scenario.steps):
        return ("how the app itself stops: it was told only when all was answered (cluster.stop: after_answers)",)
    return ()


def _strikes_a_store(scenario: Scenario) -> bool:
    """Whether its steps surely strike one that states a bound: a monkey may draw others."""
    if _bound(scenario) is None:
        return False
    steps = [step for _, step in walk_steps(scenario.steps)]
    places = scenario.cluster.stores.zones
    return any(
        (step.strike is not None and step.strike.role is Role.STORE)
        or (step.lose_zone is not None and step.lose_zone.zone in places)
        for step in steps
    )


def run_seconds(seen: ReadRecord) -> float:
    """How long the run took, by its events."""
    times = [event.at for event in seen.events()]
    return (max(times) - min(times)) / NS if times else 0.0


def _rules(scenario: Scenario) -> ServiceRules:
    promises = scenario.promises
    return ServiceRules(
        tries=scenario.users.tries,
        floor=scenario.serving_floor,
        recovers_within=promises.recovers_within,
        available=promises.available,
        p99_within=promises.p99_within,
        rollout_within=promises.rollout_within,
        tries_through_kills=promises.tries_through_kills,
        answer_timeout=scenario.cluster.answer_timeout,
        may_ask_for_rest=scenario.target is not None,
    )


def _terms(scenario: Scenario, *, rolled_back: bool) -> RunTerms:
    """What this scenario asks for."""
    promises = scenario.promises
    return RunTerms(
        own_app=scenario.users.are_of_own_app,
        watched=scenario.target is not None,
        two_devices=scenario.users.doubled > 0,
        rolls=bool(rolled_to(scenario.steps)),
        rolled_back=rolled_back,
        serving_at_least=scenario.serving_floor,
        recovers_within=promises.recovers_within,
        available=promises.available,
        p99_within=promises.p99_within,
        rollout_within=promises.rollout_within,
        bounds_loss=promises.loses_at_most is not None or _strikes_a_store(scenario),
    )


def _never_done(scenario: Scenario, events: Sequence[AnyEvent], releases: ReleaseContents) -> Iterator[str]:
    """What the scenario's steps are for, and did not do."""
    if releases.same:
        yield f"an upgrade: {releases.same} are tags of one image, so nothing new was rolled out"
    steps = [step for _, step in walk_steps(scenario.steps)]
    strikes = any(step.monkey or step.schedule or step.strike or step.lose_zone for step in steps)
    if strikes and not any(isinstance(event, Strike) for event in events):
        leashed = sum(isinstance(event, WouldStrike) for event in events)
        why = f"; a monkey on a leash would have made {leashed}" if leashed else ""
        yield f"chaos: the scenario strikes, and no strike was made{why}"


def plan_of(seen: ReadRecord) -> RunPlan:
    """What a page must know of a recorded run, or of one that goes on.

    Raises RecordError where there is no scenario yet.
    """
    scenario, environment = scenario_of(seen), seen.document("environment.json") or {}
    if not isinstance(environment, dict):
        raise RecordError("is not a valid environment", at=str(seen.folder / "environment.json"), hint="run it again")
    return RunPlan(
        run=seen.folder.name,
        name=scenario.name,
        title=scenario.title,
        about=scenario.about,
        seed=environment.get("seed"),
        slots=scenario.cluster.slots,
        users=scenario.users.count,
        asked=asked_promises(_terms(scenario, rolled_back=False)),
        rules=_rules(scenario),
        repeat=environment.get("repeat", ""),
    )
