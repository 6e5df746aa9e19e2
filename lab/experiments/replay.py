"""A recorded run once more: its strikes told one by one, by slot and moment, and its images checked to be the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lab.clock import NS
from lab.errors import RecordError, UsageError
from lab.machine.images import GATE, ImageShelf
from lab.model import Role, Value
from lab.record import AnyEvent, PhaseBegan, ReadRecord, Step, Strike
from lab.run.judge import scenario_of
from lab.scenario.own_files import digest_of, own_files
from lab.scenario.spec import Scenario, Schedule, ScheduledStrike, Settle, StepSpec, all_images_of


class Recorded(Value):
    """What a run's record says of how it can be done again."""

    folder: Path
    scenario: Scenario
    seed: int
    images: dict[str, str]
    """The engine's content ids by full tags."""
    files: dict[str, str]
    """Digests by paths."""
    events: tuple[Any, ...]
    variables: dict[str, str] | None = None
    """What its compose file took from the environment; None in records from before that was kept."""
    backend: str = ""
    """Where its cluster was; "" in records from before that was kept."""

    @property
    def slots_struck(self) -> list[str]:
        """In the order of the strikes."""
        return [_place_of(event) for event in self.events if isinstance(event, Strike)]


class _Environment(msgspec.Struct):
    """What a repetition needs of what the record says of its machine."""

    seed: int
    images: dict[str, str]
    files: dict[str, str] = {}
    variables: dict[str, str] | None = None
    backend: str = ""


def read_recorded(folder: Path) -> Recorded:
    """Raises RecordError where the record does not say enough."""
    seen = ReadRecord(folder)
    environment = seen.document("environment.json")
    if environment is None or seen.document("scenario.json") is None:
        raise RecordError("the record does not say what was run", at=str(folder), hint="lab runs")
    scenario, at = scenario_of(seen), str(folder / "environment.json")
    try:
        given = msgspec.convert(environment, _Environment)
    except msgspec.ValidationError as exc:
        raise RecordError(f"does not say how it was run: {exc}", at=at, hint="lab runs") from exc
    return Recorded(
        folder=folder,
        scenario=scenario,
        seed=given.seed,
        images=given.images,
        files=given.files,
        variables=given.variables,
        backend=given.backend,
        events=tuple(seen.events()),
    )


def check_same(recorded: Recorded, shelf: ImageShelf) -> None:
    """Raise UsageError where an image or a file is gone or no longer the same: it would be another experiment."""
    scenario = recorded.scenario
    hint = f"lab run {scenario.name} --seed {recorded.seed}   # with what is there now"
    needed = [*all_images_of(scenario), "nginx", GATE if scenario.cluster.compose else "redis"]
    for name in needed:
        tag = shelf.tag(name)
        if tag not in recorded.images:
            raise UsageError("is built from different sources now", at=f"image {name}", hint=hint)
        there = shelf.id_of(tag)
        if there != recorded.images[tag]:
            what = "is gone from the engine" if there is None else "has been rebuilt since"
            raise UsageError(what, at=f"image {tag}", hint=hint)
    for path in own_files(scenario):
        if digest_of(path) != recorded.files.get(path, ""):
            raise UsageError("is gone or has changed since", at=path, hint=f"git log {path}")


def told_one_by_one(scenario: Scenario, events: Iterable[AnyEvent]) -> Scenario:
    """The scenario with a schedule of the recorded strikes in the place of each monkey, lasting as long as then.

    A strike counts from the upgrade of a slot that came last before it in its step, if one did: so it falls at the
    same place of the rollout, also where that is quicker or slower now. What steps beside the monkey told they make
    again. Monkeys within `repeat` stay as they are.
    """
    spans = _spans(scenario, events)
    steps = [
        _without_monkey(step, *span) if span is not None else step
        for step, span in zip(scenario.steps, spans, strict=True)
    ]
    return msgspec.structs.replace(scenario, steps=tuple(steps))


def strikes_in(scenario: Scenario) -> list[ScheduledStrike]:
    """All strikes that are told one by one at the top or in a `together`, in order."""
    found: list[ScheduledStrike] = []
    for step in scenario.steps:
        for one in (step, *(step.together or ())):
            found += one.schedule.strikes if one.schedule is not None else ()
    return found


def with_strikes(scenario: Scenario, kept: Collection[int]) -> Scenario:
    """The scenario with these strikes alone, by their places in `strikes_in`."""
    places = iter(range(len(strikes_in(scenario))))

    def thinned(step: StepSpec) -> StepSpec:
        if step.schedule is not None:
            left = tuple(strike for strike in step.schedule.strikes if next(places) in kept)
            return msgspec.structs.replace(step, schedule=msgspec.structs.replace(step.schedule, strikes=left))
        if step.together is not None:
            return msgspec.structs.replace(step, together=tuple(thinned(one) for one in step.together))
        return step

    steps = tuple(thinned(step) for step in scenario.steps)
    enough = msgspec.structs.replace(scenario.enough, strikes_that_hit=min(scenario.enough.strikes_that_hit, len(kept)))
    return msgspec.structs.replace(scenario, steps=steps, enough=enough)


Span = tuple[int, int, tuple[AnyEvent, ...]]
"""When a step began and ended, and what happened meanwhile."""


def _spans(scenario: Scenario, events: Iterable[AnyEvent]) -> list[Span | None]:
    """Each step's, None for one that was not reached."""
    ordered = sorted(events, key=lambda event: event.at)
    phases = [event for event in ordered if isinstance(event, PhaseBegan) and event.name != "round"]
    logged_in = next((place for place, phase in enumerate(phases) if phase.name == "log in"), len(phases))
    begun = [phase.at for phase in phases[logged_in + 1 :]]
    spans: list[Span | None] = []
    for number in range(len(scenario.steps)):
        if number + 1 >= len(begun):
            spans.append(None)
            continue
        begin, end = begun[number], begun[number + 1]
        spans.append((begin, end, tuple(event for event in ordered if begin <= event.at < end)))
    return spans


def _without_monkey(step: StepSpec, begin: int, end: int, events: Sequence[AnyEvent]) -> StepSpec:
    inside = step.together if step.together is not None else (step,)
    monkeys = [one.monkey for one in inside if one.monkey is not None]
    if not monkeys:
        return step
    signal, seconds = monkeys[0].signal, monkeys[0].seconds
    does = {name for one in monkeys for name in one.do}
    strikes = [
        msgspec.structs.replace(_scheduled(event, begin, events), do=event.fault_kind, seconds=seconds)
        for event in events
        if isinstance(event, Strike) and event.is_drawn and event.fault_kind in does and not event.off
    ]
    schedule = StepSpec(schedule=Schedule(strikes=tuple(strikes), signal=signal))
    lasting = StepSpec(settle=Settle(seconds=round((end - begin) / NS, 1)))
    others = [one for one in inside if one.monkey is None]
    return StepSpec(together=(*others, schedule, lasting))


def _scheduled(strike: Strike, begin: int, events: Sequence[AnyEvent]) -> ScheduledStrike:
    """Counted from the upgrade just before it, else from the step's beginning."""
    upgrades = [
        event
        for event in events
        if isinstance(event, Step) and (event.action, event.why) == ("enter", "upgrade") and event.at <= strike.at
    ]
    since, after = (upgrades[-1].at, upgrades[-1].slot) if upgrades else (begin, None)
    return ScheduledStrike(slot=_place_of(strike), at=round((strike.at - since) / NS, 2), after=after)


def _place_of(strike: Strike) -> str:
    """A replica's slot; whatever has none, such as a balancer or a store, by its tier and its zone."""
    tier = strike.role or strike.victim.partition("-")[0]
    if strike.slot:
        return strike.slot
    # Services of somebody's own have a name each; the lab's own store, where it is alone, is called by its role.
    part = strike.zone or (strike.victim if strike.victim != tier and tier in {Role.STORE, Role.WORKER} else "")
    return f"{tier}/{part}" if part else tier
