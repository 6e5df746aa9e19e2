"""A run's record as page events: one fold for the run that goes on, its replay and its report."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lab import record
from lab.clock import NS
from lab.errors import ExitCode
from lab.model import Finding, Operation
from lab.oracle import Oracle
from lab.oracle.promises import PROMISES, TRIES
from lab.oracle.service import Service
from lab.report.events import (
    AnyPageEvent,
    Counted,
    Ended,
    Hurt,
    KindsCounted,
    Moved,
    NewRelease,
    PagePhase,
    PageServed,
    PageStrike,
    Planned,
    Proved,
    Said,
    Sighted,
    Turned,
    ZoneTurned,
)
from lab.report.kinds import KindTally
from lab.report.lanes import CUT_OFF, Lanes, Tiers
from lab.report.merge import Item, time_of
from lab.report.plan import RunPlan
from lab.report.tallies import SampleTally

EVERY = 0.25
"""Seconds that a sample stands for while a run goes on."""
COUNTED_EVERY = 4
"""Samples between two counts of what was checked."""
SERVICE_GROWS = 1.05
"""The service is judged again when so much more time has passed: it reads all events each time."""
CLEAN_UP = "clean up"
"""The phase in which the lab itself takes containers away: what is shown stays as users left it."""

Tell = Callable[[record.AnyEvent], str]


class PageFold:
    """Takes a record's events and operations in the order of time; what comes out depends on nothing else.

    `until` may be told between them or not: it only gives earlier what would be given with the next item.
    """

    def __init__(self, plan: RunPlan, *, tell: Tell, every: float = EVERY) -> None:
        self._plan, self._tell, self._every = plan, tell, int(every * NS)
        self._began: int | None = None
        self._closed = 0
        self._t = 0.0
        self._has_untold = False
        self._tally = SampleTally()
        self._lanes, self._tiers = Lanes(), Tiers()
        self._releases: dict[str, int] = {}
        self._users: dict[str, int] = {}
        self._oracle, self._service = Oracle(), Service(plan.rules)
        self._told_findings = 0
        self._broken: dict[str, int] = {}
        self._service_counts: dict[str, tuple[int, int]] = {}
        self._service_due = 0.0
        self._last_counted: Counted | None = None
        self._kinds = KindTally()
        self._is_clean_up = False
        self._made: list[AnyPageEvent] = []

    def take(self, item: Item) -> list[AnyPageEvent]:
        """One more event or operation, not older than the last."""
        if isinstance(item, record.RunEnded):
            return self._give()  # it stands in the record only after its verdict: `finish` tells that
        if self._began is None:
            self._begin(time_of(item))
        self._close_until(time_of(item))
        self._has_untold = True
        if isinstance(item, Operation):
            self._operation(item)
        else:
            self._event(item)
        return self._give()

    def until(self, at: int) -> list[AnyPageEvent]:
        """Nothing older than `at` will come. Silence alone moves nothing: it looks the same afterwards."""
        while self._has_untold and self._ends <= at:
            self._close()
        return self._give()

    def finish(self, ended: Callable[[float], Ended]) -> list[AnyPageEvent]:
        """The run is over and judged; `ended` tells the verdict, given the time."""
        if self._began is None:
            self._begin(0)
        while self._has_untold:
            self._close()
        ending = ended(self._t)
        if ending.exit_code != ExitCode.COULD_NOT_TELL:  # else what explains the rest may be missing
            self._oracle.finish()
        self._tell_findings()
        self._count(is_last=True)
        self._made.append(ending)
        return self._give()

    # time

    def _begin(self, at: int) -> None:
        self._began, plan = at, self._plan
        zones: dict[str, list[str]] = {}
        for slot in sorted(plan.slots, key=lambda one: (one.zone, one.name)):
            zones.setdefault(slot.zone, []).append(slot.name)
        titles = tuple((name, one.title, one.checks) for name, one in PROMISES.items() if name in plan.asked)
        self._made.append(
            Planned(
                t=0.0,
                run=plan.run,
                title=plan.title,
                about=" ".join(plan.about.split()),
                seed=plan.seed,
                zones={zone: tuple(names) for zone, names in zones.items()},
                users=plan.users,
                promises=titles,
                floor=plan.rules.floor,
                every=self._every / NS,
            )
        )

    def _since(self, at: int) -> float:
        """Seconds since the beginning, never less than what was told last."""
        self._t = max(round((at - (self._began or 0)) / NS, 3), self._t)
        return self._t

    def _close_until(self, at: int) -> None:
        """Close every sample that ended by then."""
        while self._ends <= at:
            self._close()

    @property
    def _ends(self) -> int:
        """When the sample that is open ends."""
        return (self._began or 0) + (self._closed + 1) * self._every

    def _close(self) -> None:
        self._closed += 1
        self._since(self._ends - self._every)
        if not self._tally.is_empty:
            self._made.append(self._tally.sample(self._t, len(self._releases)))
            self._tally = SampleTally()
        if self._closed % COUNTED_EVERY == 0:
            self._has_untold = False
            self._count()

    # what happened

    def _event(self, event: record.AnyEvent) -> None:
        t = self._since(event.at)
        self._service.event(event)
        match event:
            case record.PhaseBegan():
                self._is_clean_up |= event.name == CLEAN_UP
                self._made.append(PagePhase(t=t, name=event.name, text=event.text))
            case record.Serving() if not self._is_clean_up:
                self._made.append(PageServed(t=t, total=event.total))
            case record.Strike():
                self._made.append(
                    PageStrike(t=t, n=event.strike, fault=event.fault, victim=event.victim, slot=event.slot)
                )
            case record.StrikeProved():
                self._made.append(Proved(t=t, n=event.strike, hit=event.hit))
            case record.ZoneLost():
                self._made.append(ZoneTurned(t=t, zone=event.zone, state=CUT_OFF if event.cut_off else "lost"))
            case record.ZoneBack():
                self._made.append(ZoneTurned(t=t, zone=event.zone, state=""))
            case record.Observed() if event.who:
                self._made.append(
                    Sighted(t=t, who=event.who, state=event.what, release=event.release, source=event.source)
                )
        if not self._is_clean_up:
            self._move(event, t)
        said = self._tell(event)
        if said:
            self._made.append(Said(t=t, text=said, tone=_tone(event)))

    def _move(self, event: record.AnyEvent, t: float) -> None:
        for seen in self._lanes.take(event):
            number = self._release(seen.release)
            self._made.append(Moved(t=t, slot=seen.slot, id=seen.replica, release=number, state=seen.state))
        for tier in self._tiers.take(event):
            self._made.append(Turned(t=t, name=tier.name, role=tier.role, label=tier.label, state=tier.state))

    def _operation(self, operation: Operation) -> None:
        self._since(operation.end)
        number = self._users.get(operation.user)
        if number is None:
            number = self._users[operation.user] = len(self._users)
            self._tally.meet(operation.user)
        self._tally.take(operation, number, self._release)
        self._kinds.take(operation)
        self._oracle.feed(operation)
        self._service.feed(operation)
        self._tell_findings()

    def _release(self, name: str) -> int:
        if name not in self._releases:
            self._releases[name] = len(self._releases)
            self._made.append(NewRelease(t=self._t, i=self._releases[name], name=name))
        return self._releases[name]

    # what was checked and found

    def _tell_findings(self) -> None:
        """A finding of the oracle may change its name later, but never goes away."""
        for finding in self._oracle.findings[self._told_findings :]:
            self._tell_finding(finding)
        self._told_findings = len(self._oracle.findings)

    def _tell_finding(self, finding: Finding) -> None:
        user = self._users.get(finding.user, -1)
        self._broken[finding.promise] = self._broken.get(finding.promise, 0) + 1
        self._made.append(Hurt(t=self._t, user=user, promise=finding.promise, why=finding.why))

    def _count(self, *, is_last: bool = False) -> None:
        self._count_service(is_last=is_last)
        tries = self._service.first_tries
        counts = {name: (count, self._broken.get(name, 0)) for name, count in self._oracle.counts.items()}
        counts |= {**self._service_counts, TRIES: (tries.actions, tries.lost)}
        asked = {name: counts[name] for name in self._plan.asked if name in counts}
        counted = Counted(t=self._t, promises=asked, operations=tries.actions, saved=tries.saved, lost=tries.lost)
        if self._last_counted is None or counted != msgspec.structs.replace(self._last_counted, t=self._t):
            has_more = self._last_counted is None or self._last_counted.operations != counted.operations
            self._last_counted = counted
            self._made.append(counted)
            if has_more:
                self._made.append(KindsCounted(t=self._t, kinds=self._kinds.counts()))

    def _count_service(self, *, is_last: bool) -> None:
        if not is_last and self._t < self._service_due:
            return
        self._service_due = self._t * SERVICE_GROWS
        report = self._service.report()
        self._service_counts = {
            name: (count, report.broken.get(name, 0)) for name, count in report.checks.items() if name != TRIES
        }

    def _give(self) -> list[AnyPageEvent]:
        made, self._made = self._made, []
        return made


def _tone(event: record.AnyEvent) -> str:
    """Whose doing it was that a sentence tells."""
    if isinstance(event, record.Strike):
        return "strike"
    if isinstance(event, record.CommandBegan | record.CommandSaid | record.CommandEnded):
        return "command"
    return "seen" if isinstance(event, record.Observed) else ""
