"""What one run has seen so far, from whichever thread it came: nothing here acts on a cluster."""

from __future__ import annotations

import threading

from lab import record
from lab.clock import NS, Clock
from lab.deploy.desk import Desk
from lab.deploy.results import ResultWindow
from lab.model import Operation
from lab.oracle import Oracle
from lab.oracle.confidence import upper_bound
from lab.report.board import Board, SlotView, fold
from lab.report.fold import CLEAN_UP
from lab.report.sentences import tell_event
from lab.run.recent_answers import RecentAnswers
from lab.run.stop_monitor import StopMonitor
from lab.run.view import Moment
from lab.scenario.spec import Scenario, name_of
from lab.users import CrowdCounts


class RunState:
    """Routes every event and operation into the record and to all that look on: board, oracle, gate, stop monitor."""

    def __init__(self, scenario: Scenario, run_record: record.RunRecord, clock: Clock) -> None:
        self._record, self._clock = run_record, clock
        self._lock = threading.Lock()
        self._board = Board(
            began=clock.now(),
            slots={slot.name: SlotView(slot=slot.name, zone=slot.zone) for slot in scenario.cluster.slots},
            to_come=(
                *(("up",) if scenario.target is None else ()),
                "log in",
                *map(name_of, scenario.steps),
                "settle",
                "read back",
                CLEAN_UP,
            ),
        )
        self.oracle = Oracle()
        self.answers = RecentAnswers()
        self.stop_monitor = StopMonitor(scenario.stop_when)
        self._time_limit = scenario.time_limit
        self.counts: CrowdCounts | None = None
        """The crowd's, as they were looked at last."""
        self.trouble = ""
        """The first trouble of the lab itself."""
        self.entered: set[str] = set()
        """The replicas that the record says got their slots."""
        self._upgraded: dict[str, int] = {}
        self._not_ready: dict[str, record.NotReady] = {}
        self._is_watched = True
        self._results = ResultWindow()
        self._results_at = self._findings_noted = 0
        self._rolling_to = ""
        self._has_told_early_ends = False

    def report(self, event: record.AnyEvent) -> None:
        """Something happened."""
        with self._lock:
            self._record.event(event)
            self._board = fold(self._board, event)
            if isinstance(event, record.Trouble):
                self.trouble = self.trouble or event.what
            if isinstance(event, record.Step) and event.action == "enter":
                self.entered.add(event.replica)
            if isinstance(event, record.Step) and (event.action, event.why) == ("enter", "upgrade"):
                self._upgraded[event.slot] = event.at
            if isinstance(event, record.NotReady):
                self._not_ready[event.slot] = event
            if isinstance(event, record.Step) and event.action == "ready":
                self._not_ready.pop(event.slot, None)
            if isinstance(event, record.RolloutMoved):
                self._rolling_to = "" if event.ending else event.to

    def operation(self, operation: Operation) -> None:
        """A user's operation ended."""
        self._record.operation(operation)
        self.answers.note(operation)
        self._results.note(operation)
        self.stop_monitor.note(operation)
        self._watch(operation)

    def news(self) -> str:
        """What a person should be told of now, and is told once; "" for nothing.

        Users of somebody's own app who get nowhere end no run, for it may be the app's fault.
        """
        why = "" if self._has_told_early_ends else self.oracle.always_ends_early
        self._has_told_early_ends |= bool(why)
        return why

    def is_shown(self, share: float) -> bool:
        """Whether a smaller share of the actions than this fails, with 95 % confidence, by what was counted; or a user
        was hurt, so that going on shows nothing better. The record alone is judged."""
        if self.oracle.users_hurt:
            return True
        return self.counts is not None and upper_bound(self.counts.operations) <= share

    def upgraded(self, slot: str) -> int | None:
        """When this slot's upgrade was done, monotonic nanoseconds."""
        return self._upgraded.get(slot)

    def why_not_ready(self) -> str:
        """What replicas that never got ready answered last."""
        return "; ".join(tell_event(event) for event in self._not_ready.values())

    def moment(self) -> Moment:
        """All that a view needs of now."""
        with self._lock:
            board = self._board
        return Moment(
            now=self._clock.now(),
            board=board,
            counts=self.counts,
            users_hurt=len(self.oracle.users_hurt),
            checks=self.oracle.counts,
            findings=self.oracle.findings,
            within=self._time_limit,
        )

    def write_results(self, desk: Desk) -> None:
        """What users got goes to the gate of whichever deployer leads, once a second while a rollout is under way."""
        now = self._clock.now()
        if now - self._results_at < NS:
            return
        self._results_at = now
        if desk.exists() and desk.read().desired.under_way is not None:
            desk.write_results(self._results.figures(now))

    def _watch(self, operation: Operation) -> None:
        """Let the oracle look on. One that dies must not end the run: what it missed is judged from the record."""
        if self._is_watched:
            try:
                self.oracle.feed(operation)
                self._note_findings()
            except Exception as exc:  # noqa: BLE001 -- it goes into the record, and the verdict is could not tell
                self._is_watched = False
                self.report(record.Trouble(at=self._clock.now(), what=f"a check died: {type(exc).__name__}: {exc}"))

    def _note_findings(self) -> None:
        """What is newly found counts against a release, for whoever judges a rollout by what its users got.

        That is the new one if it answered the user who was hurt since the proof began: what it wrote may be what the
        old one can't read, or it may have dropped what the old one had written, and both ends of the proof are the old
        one's.
        """
        fresh = self.oracle.findings[self._findings_noted :]
        if not fresh:
            return
        self._findings_noted += len(fresh)
        for finding in fresh:
            seen = [one.release for operation in finding.witness for one in operation.tries if one.release is not None]
            if seen:
                since, to = finding.witness[0].begin, self._rolling_to
                is_new = to in seen or self._results.has_met(to, finding.user, since=since)
                self._results.note_broken(to if is_new else seen[-1], finding.at)
