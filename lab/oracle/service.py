"""How well the users were served: tries, planned stops, the floor of serving replicas, and what informs only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lab.clock import NS
from lab.model import TRIED_AGAIN, Finding, Kind, Operation, Outcome, Try, TryResult, Value
from lab.oracle.in_doubt import InDoubt, KilledWrites
from lab.oracle.latency import Latencies, Latency
from lab.oracle.mute import MuteNotes, MuteSpell, MuteSpells
from lab.oracle.promises import (
    ANSWERS_IN_TIME,
    AVAILABLE,
    CLEAN_STOPS,
    RECOVERS,
    ROLLOUTS_END,
    SERVING_FLOOR,
    TRIES,
    Anomaly,
)
from lab.oracle.recovery import Recovery, find_recoveries, judge_recoveries
from lab.oracle.refusals import Refusals
from lab.oracle.rollouts import judge_rollouts
from lab.oracle.serving import judge_floor
from lab.oracle.stops import find_cut, find_repeated, is_cut, planned_stops
from lab.oracle.workers import uncertainty, widened
from lab.record import AnyEvent, Strike, StrikeProved, Trouble

FINDINGS_SHOWN = 20
"""Findings kept of one promise of the service; all are counted."""

_OK = Outcome.OK
_CUT_OFF = frozenset({TryResult.CUT, TryResult.TIMEOUT, "502", "504"})


class ServiceRules(Value):
    """What is asked of the service. `floor` 0: the count of serving replicas is not judged."""

    tries: int = 3
    floor: int = 0
    recovers_within: float = 0.0
    """Seconds; 0: told, not judged. So are the next two."""
    available: float = 0.0
    """The share of first tries that must get a proper answer."""
    p99_within: float = 0.0
    """Seconds within which 99 % of the operations must end, from when they were due."""
    rollout_within: float = 0.0
    """Seconds within which a rollout must end, no slot moved twice; 0: not judged."""
    tries_through_kills: bool = False
    """Whether a write that may not be repeated must be answered though its replica was killed."""
    answer_timeout: float = 4.0
    """Seconds that the balancer waits for one replica."""
    may_ask_for_rest: bool = False
    """Whether a 429 refuses nothing: it says that there are too many users, which is no fault of the app's."""


class FirstTries(Value):
    """How actions fared: clean on the first try, saved by a retry, or lost (no proper answer in any try)."""

    actions: int = 0
    clean: int = 0
    saved: int = 0
    lost: int = 0
    repeated_at_the_edge: int = 0
    """Actions of which the balancer repeated a request at another slot."""
    most_tries: int = 0
    dropped: int = 0
    """Actions that the lab broke off, as when it is interrupted: nobody's fault."""


class ServiceReport(Value):
    """All that was seen of the service; `checks` and `broken` count by promise."""

    first_tries: FirstTries
    checks: dict[str, int]
    broken: dict[str, int]
    findings: tuple[Finding, ...]
    requests_by_release: dict[str, int]
    users_by_release: dict[str, int]
    latency: Latency
    available: float
    """The share of first tries with a proper answer."""
    strikes: int
    strikes_that_hit: int
    planned_stops: int
    unknown: int
    """Operations whose effect nobody was told: both outcomes were allowed for."""
    recoveries: tuple[Recovery, ...]
    troubles: tuple[str, ...]
    killed_writes: KilledWrites = KilledWrites()
    """Writes that no answer was asked for, as their replica was killed."""
    mute: tuple[MuteSpell, ...] = ()
    """Slots whose replica said that it was ready, and answered nobody properly."""


class Service:
    """Fed with every operation and event; `report` may be asked at any time. Not safe for several threads.

    Memory grows with what failed and with the events, not with the operations.
    """

    def __init__(self, rules: ServiceRules | None = None, *, is_part: bool = False) -> None:
        """`is_part`: it sees only some of the users, and is absorbed by one that has seen none."""
        self._rules = rules or ServiceRules()
        self._actions = self._clean = self._saved = self._lost = self._repeated = self._most = self._dropped = 0
        self._unanswered: list[Finding] = []
        self._in_doubt = InDoubt()
        self._broken_tries = 0
        self._refusals = Refusals()
        self._failed: list[tuple[Operation, Try]] = []
        self._at_the_edge: list[tuple[Operation, Try]] = []
        """What the balancer repeated."""
        self._mute: MuteSpells | MuteNotes = MuteNotes() if is_part else MuteSpells()
        self._improper: list[tuple[int, int]] = []
        self._first_tries_failed = self._unknown = 0
        self._requests: dict[str, int] = {}
        self._users: dict[str, set[str]] = {}
        self._latencies = Latencies()
        self._allowed = round(self._rules.p99_within * NS)
        self._slow = 0
        self._events: list[AnyEvent] = []
        self._until = 0

    def feed(self, operation: Operation) -> None:
        """Take in an operation that has ended."""
        tries = operation.tries
        self._mute.at = operation.end
        self._until = max(self._until, operation.end)
        if operation.is_conclusion:
            if operation.kind is Kind.STATE:
                self._in_doubt.note_state(operation)
            return
        for one in tries:
            if one.release is not None:
                self._requests[one.release] = self._requests.get(one.release, 0) + 1
                self._users.setdefault(one.release, set()).add(operation.user)
        self._unknown += operation.outcome is Outcome.UNKNOWN
        asks_for_rest = self._rules.may_ask_for_rest and operation.final.result == "429"
        is_refused = self._refusals.is_wrong(operation) and not asks_for_rest
        if operation.is_broken_off or self._must_have_been(operation):
            self._dropped += 1
            return
        self._actions += 1
        needed = len(tries) - operation.repeats
        answered, is_clean = is_proper(tries[needed - 1], operation), is_proper(tries[0], operation)
        self._first_tries_failed += not is_clean
        self._most = max(self._most, needed)
        meant = operation.begin if operation.due is None else min(operation.due, operation.begin)
        took = tries[needed - 1].end - meant  # a stall is not hidden by those who waited to begin
        self._latencies.add(took)
        self._slow += took > self._allowed
        self._lost += not answered
        self._clean += answered and needed == 1
        self._saved += answered and needed > 1
        if not answered and self._in_doubt.holds(operation):
            pass  # whether a strike explains it is known in the end
        elif not answered or needed > self._rules.tries:
            self._break_tries(operation, _not_answered)
        elif is_refused:
            self._break_tries(operation, _refused)
        if not is_clean or len(tries) > 1 or len(tries[0].edge) > 1:
            self._note_failures(operation)
        elif self._mute.is_any_silent and tries[0].edge:
            self._mute.note_good(tries[0].edge[0])

    def absorb(self, parts: Sequence[Service]) -> None:
        """Take over what parts saw, which see no more; each of them of other users."""
        for one in parts:
            self._actions += one._actions
            self._clean += one._clean
            self._saved += one._saved
            self._lost += one._lost
            self._repeated += one._repeated
            self._most = max(self._most, one._most)
            self._dropped += one._dropped
            self._broken_tries += one._broken_tries
            self._first_tries_failed += one._first_tries_failed
            self._unknown += one._unknown
            self._slow += one._slow
            self._until = max(self._until, one._until)
            self._unanswered += one._unanswered
            self._failed += one._failed
            self._at_the_edge += one._at_the_edge
            self._improper += one._improper
            self._in_doubt.absorb(one._in_doubt)
            self._latencies.absorb(one._latencies)
            for release, count in one._requests.items():
                self._requests[release] = self._requests.get(release, 0) + count
            for release, users in one._users.items():
                self._users.setdefault(release, set()).update(users)
        self._unanswered = sorted(self._unanswered, key=lambda finding: finding.at)[:FINDINGS_SHOWN]
        for some in (self._failed, self._at_the_edge):
            some.sort(key=lambda one: one[0].end)
        self._mute = MuteSpells.of_all([one._mute for one in parts if isinstance(one._mute, MuteNotes)])

    def _break_tries(self, operation: Operation, told: Callable[[Operation, int], Finding]) -> None:
        self._broken_tries += 1
        if len(self._unanswered) < FINDINGS_SHOWN:
            self._unanswered.append(told(operation, self._rules.tries))

    def _note_failures(self, operation: Operation) -> None:
        """What did not go well, and which slots were asked and did not answer."""
        tries = operation.tries
        self._improper += [(one.begin, one.end) for one in tries if not is_proper(one, operation)]
        at_the_edge = [(operation, one) for one in tries if len(one.edge) > 1]
        self._at_the_edge += at_the_edge
        self._repeated += bool(at_the_edge)
        self._failed += [(operation, one) for one in tries if is_cut(one)]
        for one in tries:
            edge = one.edge
            if not edge:
                continue
            for slot in edge[:-1]:
                self._mute.note_failed(slot, one)
            if is_proper(one, operation):
                self._mute.note_good(edge[-1])
            else:
                self._mute.note_failed(edge[-1], one)

    def _must_have_been(self, operation: Operation) -> bool:
        """Was it broken off, as in a record that is older than this word? No user stops there while tries are left."""
        tries = operation.tries
        if operation.repeats:
            return False
        return tries[-1].result in TRIED_AGAIN and operation.is_repeatable and len(tries) < self._rules.tries

    def event(self, event: AnyEvent) -> None:
        """Take in an event, in any order."""
        self._events.append(event)

    @property
    def first_tries(self) -> FirstTries:
        """The counts of this moment."""
        return FirstTries(
            actions=self._actions,
            clean=self._clean,
            saved=self._saved,
            lost=self._lost,
            repeated_at_the_edge=self._repeated,
            most_tries=self._most,
            dropped=self._dropped,
        )

    def report(self) -> ServiceReport:
        """Judge the service by what was fed so far."""
        events: Sequence[AnyEvent] = sorted(self._events, key=lambda event: event.at)
        stops = planned_stops(events)
        moved = [(operation, one) for operation, one in self._at_the_edge if not is_cut(one)]
        may_be = widened(events)
        cut = [
            *find_cut(self._failed, may_be, moved, patience=self._rules.answer_timeout),
            *find_repeated(self._at_the_edge, events),
        ]
        mute = self._mute.of_the_ready(events) if isinstance(self._mute, MuteSpells) else []
        killed, unexcused = self._in_doubt.split(() if self._rules.tries_through_kills else may_be)
        unanswered = [*self._unanswered, *(_not_answered(one, self._rules.tries) for one in unexcused)]
        unanswered.sort(key=lambda finding: finding.at)
        counts, below = 0, list[Finding]()
        if self._rules.floor:
            counts, below = judge_floor(events, self._rules.floor, until=self._until or None, mute=mute)
        recoveries = find_recoveries(events, self._improper)
        recovered, late = judge_recoveries(
            recoveries, self._rules.recovers_within + uncertainty(events) / NS, self._until
        )
        if not self._rules.recovers_within:
            late = []
        moves, unended = 0, list[Finding]()
        if self._rules.rollout_within:
            moves, unended = judge_rollouts(events, self._rules.rollout_within, until=self._until)
        quality = [*self._judge_availability(), *self._judge_latency()]
        return ServiceReport(
            first_tries=self.first_tries,
            checks={
                TRIES: self._actions,
                CLEAN_STOPS: len(stops),
                SERVING_FLOOR: counts,
                RECOVERS: recovered,
                AVAILABLE: self._actions,
                ANSWERS_IN_TIME: self._actions,
                ROLLOUTS_END: moves,
            },
            broken={
                TRIES: self._broken_tries + len(unexcused),
                CLEAN_STOPS: len(cut),
                SERVING_FLOOR: len(below),
                RECOVERS: len(late),
                ROLLOUTS_END: len(unended),
                **{one.promise: 1 for one in quality},
            },
            findings=(
                *cut[:FINDINGS_SHOWN],  # first, since it is why others were not answered
                *unanswered[:FINDINGS_SHOWN],
                *below[:FINDINGS_SHOWN],
                *late[:FINDINGS_SHOWN],
                *unended[:FINDINGS_SHOWN],
                *quality,
            ),
            mute=tuple(mute),
            unknown=self._unknown,
            killed_writes=killed,
            recoveries=tuple(recoveries),
            requests_by_release=dict(sorted(self._requests.items())),
            users_by_release={release: len(users) for release, users in sorted(self._users.items())},
            latency=self._latencies.summary(),
            available=self.availability,
            strikes=sum(1 for event in events if isinstance(event, Strike)),
            strikes_that_hit=sum(1 for event in events if isinstance(event, StrikeProved) and event.hit),
            planned_stops=len(stops),
            troubles=tuple(event.what for event in events if isinstance(event, Trouble)),
        )

    @property
    def availability(self) -> float:
        """The share of first tries with a proper answer; 1 where there was none."""
        return 1 - self._first_tries_failed / self._actions if self._actions else 1.0

    def _judge_availability(self) -> Iterator[Finding]:
        if self._actions and self.availability < self._rules.available:
            why = (
                f"{self._first_tries_failed} of {self._actions} first tries got no proper answer: "
                f"{100 * self.availability:.3f} % did, {100 * self._rules.available:g} % must"
            )
            yield self._of_the_whole_run(AVAILABLE, Anomaly.UNAVAILABLE, why)

    def _judge_latency(self) -> Iterator[Finding]:
        most = self._rules.p99_within
        if most and self._slow * 100 > self._actions:
            why = f"{self._slow} of {self._actions} operations took more than {most:g} s: one of a hundred may"
            yield self._of_the_whole_run(ANSWERS_IN_TIME, Anomaly.SLOW_ANSWERS, why)

    def _of_the_whole_run(self, promise: str, anomaly: Anomaly, why: str) -> Finding:
        return Finding(promise=promise, anomaly=str(anomaly), user="", at=self._until, why=why)


def is_proper(one: Try, of: Operation) -> bool:
    """Is this an answer that a user can go on with?

    Not: no answer, a garbled one, a 5xx, or a redirect that is neither what the operation wanted nor a way to log in.
    """
    result = one.result
    if result == "200":
        return True
    if not one.answered or result >= "500":
        return False
    return result[0] != "3" or of.outcome is _OK or of.turned_away


def _refused(operation: Operation, _: int) -> Finding:
    may = "it had been answered before, with the same key" if operation.repeats else "the user may do it"
    return Finding(
        promise=TRIES,
        anomaly=str(Anomaly.REFUSED),
        user=operation.user,
        at=operation.end,
        why=f"{operation.kind} was refused with {operation.final.result}, though {may}",
        witness=(operation,),
    )


def _not_answered(operation: Operation, most: int) -> Finding:
    results = ", ".join(one.result for one in operation.tries)
    why = f"{operation.kind} was not answered within {most} tries: {results}"
    if operation.final.result[0] == "3":
        why = f"{operation.kind} was answered with {operation.final.result}, which is not what was asked for"
    return Finding(
        promise=TRIES,
        anomaly=str(Anomaly.NOT_ANSWERED),
        user=operation.user,
        at=operation.end,
        why=why,
        witness=(operation,),
    )
