"""Judges a run from its record alone: no engine, no cluster, and the same verdict on any machine."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lab.clock import NS
from lab.cluster.protocol import StopWay
from lab.collection import no_collection
from lab.errors import RecordError
from lab.model import Role, Value, release_name
from lab.oracle import Oracle
from lab.oracle.between import changed_between
from lab.oracle.blame import blame
from lab.oracle.closing import RunFacts, closing_lines
from lab.oracle.loss import LossJudgement, judge_loss, store_strikes
from lab.oracle.own_loss import judge_own_loss
from lab.oracle.promises import (
    ANSWERS_IN_TIME,
    AVAILABLE,
    CLEAN_STOPS,
    LOSS_BOUND,
    RECOVERS,
    ROLLOUTS_END,
    SERVING_FLOOR,
)
from lab.oracle.service import Service, ServiceReport, ServiceRules
from lab.oracle.telling import not_checked
from lab.oracle.verdict import ALWAYS_ASKED, OWN_APP_ASKED, Judgement, gather, judge
from lab.record import AnyEvent, ReadRecord, RolloutMoved, Step, Strike, ZoneLost
from lab.report.plan import RunPlan
from lab.scenario.spec import Scenario, rolled_to, walk_steps

_ASKED_BY = {
    CLEAN_STOPS: "no replica was stopped on purpose, or a release was rolled back",
    RECOVERS: "promises.recovers_within",
    AVAILABLE: "promises.available",
    ANSWERS_IN_TIME: "promises.p99_within",
    ROLLOUTS_END: "promises.rollout_within",
    LOSS_BOUND: "promises.loses_at_most, or a strike on a store that states a bound",
}
"""How a scenario asks for what is not always asked for."""


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
        return msgspec.convert(document, Scenario)
    except msgspec.ValidationError as exc:
        at = str(seen.folder / "scenario.json")
        raise RecordError(f"is no scenario of this lab: {exc}", at=at, hint="run it again") from exc


def judge_run(seen: ReadRecord) -> JudgedRun:
    """Read a run's record and judge it by the scenario that is part of it.

    Raises RecordError where there is no scenario to judge by; whatever else is missing or torn is for the
    verdict to say.
    """
    scenario = scenario_of(seen)
    oracle, service = Oracle(), Service(_rules(scenario))
    last, crashed, events, lost = 0, "", list[AnyEvent](), None
    try:
        for event in seen.events():
            events.append(event)
            service.event(event)
        with no_collection():
            for operation in seen.history():
                oracle.feed(operation)
                service.feed(operation)
                last = max(last, operation.end)
            oracle.finish()
            lost = _judge_loss(scenario, oracle, seen, events)
    except Exception as exc:  # noqa: BLE001 -- a check that dies is "could not tell", never green and never lost
        crashed = f"{type(exc).__name__}: {exc}"
    report = service.report()
    rolled_back = any(isinstance(event, RolloutMoved) and event.ending == "rolled back" for event in events)
    evidence = gather(
        oracle,
        report,
        last=last,
        new_release=_new_release(scenario),
        torn=seen.torn,
        crashed=crashed,
        rolled_back=rolled_back,
        lost=lost,
    )
    asked = _asked(scenario, rolled_back=rolled_back)
    judgement = judge(evidence, scenario.enough, asked)
    new = {event.to for event in events if isinstance(event, RolloutMoved)}
    between = changed_between(judgement.findings, seen.history(), new) if new and not crashed else None
    findings, likely = blame(judgement.findings, events, between)
    unchecked = (*not_checked(judgement, report, specs=_ASKED_BY), *_stated(scenario))
    strikes = [event.fault_kind == "kill" for event in events if isinstance(event, Strike) and not event.whole_zone]
    return JudgedRun(
        judgement=msgspec.structs.replace(judgement, findings=findings, likely=likely, not_checked=unchecked),
        service=report,
        zones_lost=sum(isinstance(event, ZoneLost) for event in events),
        kills=sum(strikes),
        other_strikes=len(strikes) - sum(strikes),
        began=min((event.at for event in events), default=0),
        replacements=sum(
            isinstance(event, Step) and event.action == "enter" and event.why != "first" for event in events
        ),
    )


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
        floor=promises.serving_at_least,
        recovers_within=promises.recovers_within,
        available=promises.available,
        p99_within=promises.p99_within,
        rollout_within=promises.rollout_within,
        answer_timeout=scenario.cluster.answer_timeout,
    )


def _asked(scenario: Scenario, *, rolled_back: bool) -> list[str]:
    """The promises that this scenario's verdict rests on."""
    promises = scenario.promises
    specified = (
        (CLEAN_STOPS, bool(rolled_to(scenario.steps)) and not rolled_back),
        (RECOVERS, promises.recovers_within),
        (AVAILABLE, promises.available),
        (ANSWERS_IN_TIME, promises.p99_within),
        (ROLLOUTS_END, promises.rollout_within),
        (LOSS_BOUND, promises.loses_at_most is not None or _strikes_a_store(scenario)),
    )
    always = OWN_APP_ASKED if scenario.users.are_of_own_app else ALWAYS_ASKED
    return [*always, SERVING_FLOOR, *(name for name, is_asked_for in specified if is_asked_for)]


def _new_release(scenario: Scenario) -> str | None:
    """The release that the last upgrade goes to, as replicas call themselves."""
    asked = rolled_to(scenario.steps)
    return release_name(asked[-1]) if asked else None


def plan_of(seen: ReadRecord) -> RunPlan:
    """What a page must know of a recorded run, or of one that goes on.

    Raises RecordError where there is no scenario yet.
    """
    scenario, environment = scenario_of(seen), seen.document("environment.json") or {}
    if not isinstance(environment, dict):
        raise RecordError("is no environment", at=str(seen.folder / "environment.json"), hint="run it again")
    return RunPlan(
        run=seen.folder.name,
        name=scenario.name,
        title=scenario.title,
        about=scenario.about,
        seed=environment.get("seed"),
        slots=scenario.cluster.slots,
        users=scenario.users.count,
        asked=tuple(_asked(scenario, rolled_back=False)),
        rules=_rules(scenario),
        repeat=environment.get("repeat", ""),
    )
