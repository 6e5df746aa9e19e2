"""Judges a run from its record alone: no engine, no cluster, and the same verdict on any machine."""

from __future__ import annotations

import msgspec

from lab.clock import NS
from lab.errors import RecordError
from lab.model import Value
from lab.oracle import Oracle
from lab.oracle.blame import blame
from lab.oracle.closing import RunFacts, closing_lines
from lab.oracle.promises import CLEAN_STOPS, SERVING_FLOOR
from lab.oracle.service import Service, ServiceReport, ServiceRules
from lab.oracle.verdict import ALWAYS_ASKED, Enough, Judgement, gather, judge
from lab.record import AnyEvent, ReadRecord, Step
from lab.scenario.file import Scenario, rolled_to


class Judged(Value):
    """A judged run with what its closing lines need."""

    judgement: Judgement
    service: ServiceReport
    began: int
    replacements: int

    def closing(self, *, seconds: float, report: str, repeat: str) -> tuple[str, str, str]:
        """The last three lines of the run."""
        facts = RunFacts(
            began=self.began,
            seconds=seconds,
            replacements=self.replacements,
            strikes=self.service.strikes,
            report=report,
            repeat=repeat,
        )
        return closing_lines(self.judgement, facts)


def judge_run(seen: ReadRecord) -> Judged:
    """Read a run's record and judge it by the scenario that is part of it.

    Raises RecordError where there is no scenario to judge by; whatever else is missing or torn is for the
    verdict to say.
    """
    document = seen.document("scenario.json")
    if document is None:
        raise RecordError("the record holds no scenario", at=str(seen.folder), way_out="run it again")
    scenario = msgspec.convert(document, Scenario)
    oracle, service = Oracle(), Service(ServiceRules(tries=scenario.users.tries, floor=_floor(scenario)))
    last, crashed, events = 0, "", list[AnyEvent]()
    try:
        for event in seen.events():
            events.append(event)
            service.event(event)
        for operation in seen.history():
            oracle.feed(operation)
            service.feed(operation)
            last = max(last, operation.end)
        oracle.finish()
    except Exception as exc:  # noqa: BLE001 -- a check that dies is "could not tell", never green and never lost
        crashed = f"{type(exc).__name__}: {exc}"
    report = service.report()
    rolled_back = any(isinstance(event, Step) and event.action == "give_up" for event in events)
    evidence = gather(
        oracle,
        report,
        last=last,
        new_release=_new_release(scenario),
        torn=seen.torn,
        crashed=crashed,
        rolled_back=rolled_back,
    )
    asked = [*ALWAYS_ASKED, SERVING_FLOOR]
    if rolled_to(scenario.steps) and not rolled_back:
        asked.append(CLEAN_STOPS)
    judgement = judge(evidence, msgspec.convert(msgspec.structs.asdict(scenario.enough), Enough), asked)
    findings, likely = blame(judgement.findings, events)
    return Judged(
        judgement=msgspec.structs.replace(judgement, findings=findings, likely=likely),
        service=report,
        began=min((event.at for event in events), default=0),
        replacements=sum(
            isinstance(event, Step) and event.action == "ready" and event.why != "first" for event in events
        ),
    )


def run_seconds(seen: ReadRecord) -> float:
    """How long the run took, by its events."""
    times = [event.at for event in seen.events()]
    return (max(times) - min(times)) / NS if times else 0.0


def _floor(scenario: Scenario) -> int:
    return scenario.promises.serving_at_least


def _new_release(scenario: Scenario) -> str | None:
    """The release that the last upgrade goes to, as replicas call themselves."""
    asked = rolled_to(scenario.steps)
    return asked[-1].partition(":")[2] or asked[-1] if asked else None
