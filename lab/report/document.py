"""A judged run as one value: all that a report says, before it is said in any format."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from lab.clock import NS
from lab.errors import RecordError
from lab.model import Finding, Operation, Role, Value, Verdict
from lab.oracle.confidence import bound_text
from lab.oracle.latency import Latencies, Latency
from lab.oracle.promises import PROMISES
from lab.oracle.recovery import Recovery
from lab.oracle.service import FirstTries, ServiceReport
from lab.oracle.telling import story
from lab.oracle.verdict import Judgement, PartTested
from lab.record import AnyEvent, ContainerEvent, PhaseBegan, ReadRecord, Step, Strike, StrikeProved, kept_log
from lab.report.events import Ended, JudgedPromise, KindCount
from lab.report.kinds import KindTally
from lab.report.plan import RunPlan
from lab.report.requests import KeptRequests

STORIES = 500
"""Counter-examples that a report tells; the record holds all of them."""
LOGS, LOG_LINES = 8, 40
"""So many replicas' logs a report shows, and so many lines of each; the rest is in the record's folder logs/."""
RAW = ("events.jsonl", "history.jsonl", "environment.json", "scenario.json", "verdict.json")


class FindingStory(Value):
    """One counter-example."""

    promise: str
    title: str
    at: float
    user: str
    """Whom it hurt; "" where it is no one user's."""
    lines: tuple[str, ...]
    """What contradicts what, the operations that show it in time order, and why."""


class StrikeRow(Value):
    """One fault and what it cost."""

    number: int
    at: float
    fault: str
    victim: str
    zone: str
    release: str
    serving: int
    hit: bool | None
    """None: the record does not say what came of it."""
    why: str
    capacity: float | None = None
    """Seconds until as many served as before."""
    users: float | None = None
    """Seconds until no user's try failed any more."""


class StepRow(Value):
    """One replica that came, and the one whose place it took."""

    at: float
    slot: str
    why: str
    new: str
    release: str
    ready: float | None = None
    """Seconds from its start until it was ready."""
    old: str = ""
    before: str = ""
    drained: float | None = None
    """Seconds that the old one took to leave."""


class PhaseRow(Value):
    """One part of the scenario, and what users did in it."""

    at: float
    name: str
    text: str
    seconds: float
    operations: int
    latency: Latency


class ReplicaLog(Value):
    """The end of what a replica wrote that died, or that answered whoever was hurt."""

    replica: str
    died: float | None
    """When, where it died unplanned."""
    lines: tuple[str, ...]


class RecordFile(Value):
    """One file of the record."""

    name: str
    size: int


class Environment(Value, forbid_unknown_fields=False):
    """Where it ran, as the record says."""

    run: str = ""
    began: str = ""
    seed: int | None = None
    repeat: str = ""
    host: str = ""
    python: str = ""
    system: str = ""
    cores: int | None = None
    engine: dict[str, Any] = msgspec.field(default_factory=dict)
    compose: tuple[str, ...] = ()
    images: dict[str, str] = msgspec.field(default_factory=dict)
    releases: dict[str, str] = msgspec.field(default_factory=dict)


class Report(Value):
    """All that is told of a run. Times are seconds since it began."""

    run: str
    name: str
    title: str
    about: str
    verdict: str
    exit_code: int
    headline: tuple[str, ...]
    """The run's own last lines."""
    seconds: float
    promises: tuple[JudgedPromise, ...]
    stories: tuple[FindingStory, ...]
    findings: int
    likely: str
    reasons: tuple[str, ...]
    not_checked: tuple[str, ...]
    tested: tuple[PartTested, ...]
    """Of somebody's own app: what was tested, and what was not."""
    users: int
    users_hurt: int
    operations: int
    first_tries: FirstTries
    tries: dict[int, int]
    """How many operations took so many tries."""
    latency: Latency
    answers_by_release: dict[str, int]
    users_by_release: dict[str, int]
    strikes: tuple[StrikeRow, ...]
    steps: tuple[StepRow, ...]
    phases: tuple[PhaseRow, ...]
    kinds: dict[str, KindCount]
    """How each kind of request fared."""
    environment: Environment
    repeat: str
    raw: tuple[RecordFile, ...]
    logs: tuple[ReplicaLog, ...] = ()
    """Of a run that did not hold: those that may say why."""


class OperationCounts:
    """What a report counts and keeps of operations on its way through the history."""

    def __init__(self, phases: Sequence[PhaseBegan], *, began: int = 0, findings: Iterable[Finding] = ()) -> None:
        self.kinds, self.requests = KindTally(), KeptRequests(began, findings)
        self._begins = sorted(one.at for one in phases)
        self._latencies = [Latencies() for _ in phases]
        self._operations = [0 for _ in phases]
        self.tries: dict[int, int] = {}

    def __call__(self, operation: Operation) -> None:
        """One more operation, in the order in which they ended."""
        self.requests.take(operation)
        if operation.is_conclusion:
            return
        self.kinds.take(operation)
        count = len(operation.tries) - operation.repeats
        self.tries[count] = self.tries.get(count, 0) + 1
        place = bisect_right(self._begins, operation.end) - 1
        if place >= 0:
            self._operations[place] += 1
            self._latencies[place].add(operation.answered.end - operation.begin)

    def of(self, place: int) -> tuple[int, Latency]:
        """How many operations ended in a phase, and how long they took."""
        return self._operations[place], self._latencies[place].summary()


def build_report(
    seen: ReadRecord,
    plan: RunPlan,
    judgement: Judgement,
    service: ServiceReport,
    closing: tuple[str, ...],
    watch: OperationCounts | None = None,
) -> Report:
    """Everything that a report says, from the record and what was judged of it.

    `watch` is one that has been shown the history already; without it the history is read here.
    """
    events = sorted(seen.events(), key=lambda event: event.at)
    began = events[0].at if events else 0
    phases = [event for event in events if isinstance(event, PhaseBegan)]
    if watch is None:
        watch = OperationCounts(phases)
        for operation in seen.history():
            watch(operation)
    evidence = judgement.evidence
    return Report(
        run=plan.run,
        name=plan.name,
        title=plan.title,
        about=" ".join(plan.about.split()),
        verdict=str(judgement.verdict),
        exit_code=int(judgement.exit_code),
        headline=closing,
        seconds=(events[-1].at - began) / NS if events else 0.0,
        promises=judged_promises(judgement),
        stories=tuple(_story(finding, began) for finding in _first_of_each(judgement.findings)),
        findings=len(judgement.findings),
        likely=judgement.likely,
        reasons=judgement.reasons,
        not_checked=judgement.not_checked,
        tested=judgement.tested,
        users=evidence.users,
        users_hurt=evidence.users_hurt,
        operations=evidence.operations,
        first_tries=evidence.first_tries,
        tries=dict(sorted(watch.tries.items())),
        latency=service.latency,
        answers_by_release=service.requests_by_release,
        users_by_release=service.users_by_release,
        strikes=tuple(_strike_rows(events, service.recoveries, began)),
        steps=tuple(_step_rows(events, began)),
        phases=tuple(_phase_rows(phases, watch, events[-1].at if events else 0, began)),
        kinds=watch.kinds.counts(),
        environment=_environment(seen),
        repeat=plan.repeat,
        raw=tuple(RecordFile(name=name, size=size) for name in RAW if (size := _size(seen, name)) is not None),
        logs=() if judgement.verdict is Verdict.HELD else tuple(_logs(seen, judgement.findings, events, began)),
    )


def judged_promises(judgement: Judgement) -> tuple[JudgedPromise, ...]:
    """The promises as a page and a report show them."""
    return tuple(
        JudgedPromise(
            promise=one.promise,
            title=one.title,
            verdict=str(one.verdict),
            count=one.count,
            checks=one.checks,
            broken=one.broken,
            note=one.note or ("" if one.upper is None else f"breaches {bound_text(one.count)}"),
        )
        for one in sorted(judgement.promises, key=lambda one: list(PROMISES).index(one.promise))
    )


def ended(judgement: Judgement, closing: tuple[str, ...], t: float) -> Ended:
    """The page's last event."""
    return Ended(
        t=t,
        verdict=str(judgement.verdict),
        exit_code=int(judgement.exit_code),
        lines=closing,
        promises=judged_promises(judgement),
    )


def _first_of_each(findings: Sequence[Finding]) -> list[Finding]:
    """The first counter-example of each promise, then others, by time."""
    by_time = sorted(findings, key=lambda finding: finding.at)
    firsts = {finding.promise: finding for finding in reversed(by_time)}
    first = sorted(firsts.values(), key=lambda finding: list(PROMISES).index(finding.promise))
    others = [finding for finding in by_time if finding not in first]
    return [*first, *others][: max(STORIES, len(first))]


def _story(finding: Finding, began: int) -> FindingStory:
    promise = PROMISES[finding.promise]
    at = (finding.at - began) / NS
    return FindingStory(
        promise=finding.promise, title=promise.title, at=at, user=finding.user, lines=tuple(story(finding, began=began))
    )


def _strike_rows(events: Sequence[AnyEvent], recoveries: Iterable[Recovery], began: int) -> Iterable[StrikeRow]:
    # A number may come twice where several actors strike: what proves a strike is the next word on its number.
    costs = {(one.strike, one.at): one for one in recoveries}
    for place, event in enumerate(events):
        if not isinstance(event, Strike):
            continue
        later = (one for one in events[place:] if isinstance(one, StrikeProved) and one.strike == event.strike)
        proof = next(later, None)
        cost = costs.get((event.strike, event.at))
        yield StrikeRow(
            number=event.strike,
            at=(event.at - began) / NS,
            fault=event.fault,
            victim=event.victim,
            zone=event.zone,
            release=event.release,
            serving=event.serving,
            hit=proof.hit if proof else None,
            why=proof.why if proof else "",
            capacity=cost.capacity if cost else None,
            users=cost.users if cost else None,
        )


def _step_rows(events: Sequence[AnyEvent], began: int) -> list[StepRow]:
    """In the order of time, since the name of a replica that went may be given again."""
    rows: list[StepRow] = []
    staying: dict[str, list[int]] = {}
    """Places of the rows whose old replica is still there, by its name."""
    ready: dict[str, float | None] = {}
    holder: dict[str, Step] = {}
    for one in (event for event in events if isinstance(event, Step)):
        if one.action == "ready":
            ready[one.replica] = one.seconds
        elif one.action == "remove":
            for place in staying.pop(one.replica, ()):
                rows[place] = msgspec.structs.replace(rows[place], drained=one.seconds)
        elif one.action == "enter":
            old = holder.get(one.slot)
            holder[one.slot] = one
            if one.why != "first":
                if old is not None:
                    staying.setdefault(old.replica, []).append(len(rows))
                rows.append(_step_row(one, old, ready.get(one.replica), began))
    return rows


def _step_row(one: Step, old: Step | None, ready: float | None, began: int) -> StepRow:
    return StepRow(
        at=(one.at - began) / NS,
        slot=one.slot,
        why=one.why,
        new=one.replica,
        release=one.release,
        ready=ready,
        old=old.replica if old else "",
        before=old.release if old else "",
    )


def _phase_rows(phases: Sequence[PhaseBegan], watch: OperationCounts, end: int, began: int) -> Iterable[PhaseRow]:
    for place, phase in enumerate(phases):
        until = phases[place + 1].at if place + 1 < len(phases) else end
        operations, latency = watch.of(place)
        yield PhaseRow(
            at=(phase.at - began) / NS,
            name=phase.name,
            text=phase.text,
            seconds=(until - phase.at) / NS,
            operations=operations,
            latency=latency,
        )


def _logs(
    seen: ReadRecord, findings: Sequence[Finding], events: Sequence[AnyEvent], began: int
) -> Iterator[ReplicaLog]:
    """Of those who died unplanned, by time, then of those who answered in the first counter-examples."""
    left = {event.replica for event in events if isinstance(event, Step) and event.action in {"drain", "stop"}}
    died = {
        event.name: (event.at - began) / NS
        for event in events
        if isinstance(event, ContainerEvent) and event.role == Role.APP and event.action == "die"
    }
    told = [one.replica for finding in findings[:LOGS] for each in finding.witness for one in each.tries if one.replica]
    names = dict.fromkeys((*(name for name in died if name not in left), *told))
    kept = ((name, kept_log(seen.folder, name, last=LOG_LINES)) for name in names)
    for name, lines in islice(((name, lines) for name, lines in kept if lines), LOGS):
        yield ReplicaLog(replica=name, died=died.get(name) if name not in left else None, lines=lines)


def _environment(seen: ReadRecord) -> Environment:
    document = seen.document("environment.json")
    try:
        return msgspec.convert(document or {}, Environment)
    except msgspec.ValidationError as exc:
        raise RecordError(str(exc), at=str(seen.folder / "environment.json")) from exc


def _size(seen: ReadRecord, name: str) -> int | None:
    path = seen.folder / name
    return path.stat().st_size if path.is_file() else None
