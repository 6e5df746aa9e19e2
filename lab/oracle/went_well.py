"""What went well, and where: by it a pattern is weighed that all findings fit, for which they may only look alike.

Of findings that had nothing to do with a release as many would be met there as of all that was done there. So a place
explains them only where that would be a rare accident.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome, Try
from lab.oracle.between import MISSING
from lab.oracle.interval import READS
from lab.oracle.promises import Anomaly
from lab.oracle.trails import Trails
from lab.oracle.witness import culprit_of, reader_of, release_of, replica_of, shown
from lab.record import AnyEvent, RolloutMoved, Step

ACCIDENT = 0.05
"""How likely it may be that findings look alike by accident, to say that they do not."""
LEAST_FAILED = 3
"""So often a replica must have failed first: once is an accident."""
OFTEN = 2
"""Times as often as it was missed something must have been found, to be there."""
MOMENT = NS // 2
"""Nanoseconds within which a share is taken not to change."""

_PLACES = {
    Kind.VIEW: "history",
    Kind.ADD: "cart",
    Kind.REMOVE: "cart",
    Kind.CHECKOUT: "cart",
    Kind.RENAME: "name",
    Kind.LOGOUT: "session",
    Kind.HISTORY: "history",
    Kind.CART: "cart",
    Kind.ORDERS: "cart",
    Kind.ACCOUNT: "name",
}
"""What each kind of operation writes or reads of a user."""
_WRITES = frozenset({Kind.VIEW, Kind.ADD, Kind.REMOVE, Kind.CHECKOUT, Kind.RENAME})
_ID = re.compile(r"\S+\.\d+\.\d+")
_OF_ONE_READ = frozenset({Anomaly.WRONG_CONTENT, Anomaly.PHANTOM, Anomaly.LEAK})
"""What a read alone proves."""
_FAILED = frozenset({"cut", "timeout", "garbled"})


class Holders:
    """Who had which slot when."""

    def __init__(self, entered: Sequence[Step] = ()) -> None:
        self._entered = entered

    def of(self, one: Try) -> str | None:
        """Who answered a try, or should have: where that is not known, who had the slot that was asked last."""
        if one.replica is not None or not one.edge:
            return one.replica
        return next(
            (step.replica for step in reversed(self._entered) if step.slot == one.edge[-1] and step.at <= one.end), None
        )


class Shares:
    """How often each of several was met, moment by moment: while a release is rolled out its share grows."""

    def __init__(self) -> None:
        self._counts: dict[int, Counter[str]] = {}

    def note(self, at: int, name: str) -> None:
        self._counts.setdefault(at // MOMENT, Counter())[name] += 1

    def is_no_accident(self, name: str, times: Iterable[int]) -> bool:
        """Whether it would be one that all which happened at these times met `name`."""
        chance = 1.0
        for at in times:
            around = [self._counts.get(at // MOMENT + beside, Counter[str]()) for beside in (-1, 0, 1)]
            whole = sum(one.total() for one in around)
            chance *= sum(one[name] for one in around) / whole if whole else 1.0
        return chance <= ACCIDENT


@dataclass(frozen=True, kw_only=True)
class WentWell:
    """Counts of what was answered."""

    before: Mapping[Kind, int] = field(default_factory=dict)
    after: Mapping[Kind, int] = field(default_factory=dict)
    """Operations of each kind until and since the first replica of a new release got its slot."""
    answers: Shares = field(default_factory=Shares)
    """By release."""
    slots: Shares = field(default_factory=Shares)
    """By the slot that was asked to change something."""
    by_release: Mapping[tuple[Kind, str], int] = field(default_factory=dict)
    """Operations of each kind that each release answered, in the whole run."""
    sessions: Shares = field(default_factory=Shares)
    """What came with a session, by the release that had made that."""
    took: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By release: how many operations it answered, and how many nanoseconds that took all together."""
    across: Mapping[str, int] = field(default_factory=dict)
    """How often each replica took a session that another release had made."""
    reads: int = 0
    """Of what the user had changed before."""
    holders: Holders = field(default_factory=Holders)
    too_early: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By replica: how often it failed, and how often it had answered well before it failed for the last time."""
    made: Mapping[str, Operation] = field(default_factory=dict)
    """What made the things that findings name without it, by id."""
    trails: Trails = field(default_factory=lambda: Trails(()))
    read_elsewhere: Mapping[Kind, int] = field(default_factory=dict)
    """Reads of each kind by another replica than the one that had written last what they show."""
    found_elsewhere: Mapping[Kind, int] = field(default_factory=dict)
    """Those of them that ended before their user first missed anything there."""
    pages: int = 0
    """Of all reads of what is a user's: those that a page answered."""

    def began_then(self, kinds: Mapping[Kind, int]) -> bool:
        """Whether so many findings, by what kind of operation shows them, would have shown before the new release came,
        had it nothing to do with it."""
        return _are_rare([(self.after.get(kind, 0), self.before.get(kind, 0), n) for kind, n in kinds.items()])

    def is_of(self, release: str, kinds: Mapping[Kind, int]) -> bool:
        """Whether it is no accident that so many operations of these kinds were all answered by one release."""
        drawn = []
        for kind, times in kinds.items():
            counts = {one: count for (other, one), count in self.by_release.items() if other is kind}
            own = counts.pop(release, 0)
            drawn.append((own, sum(counts.values()), times))
        return _are_rare(drawn)

    def is_of_others(self, findings: int) -> bool:
        """Whether it is no accident that so many were met by another replica than the one that had written."""
        return _is_rare(sum(self.read_elsewhere.values()), self.reads, findings)

    def is_of_pages(self, findings: int) -> bool:
        """Whether it is no accident that so many were met on pages."""
        return bool(self.pages) and _is_rare(self.pages, self.reads, findings)

    def is_found_elsewhere(self, missing: Sequence[Finding]) -> bool:
        """Whether other replicas showed what these miss so often before, that it is not kept in one of them: whoever
        keeps it there shows none of it from the first time on."""
        kinds = {reader.kind for one in missing if (reader := reader_of(one)) is not None}
        return sum(self.found_elsewhere.get(kind, 0) for kind in kinds) > OFTEN * len(missing)

    def was_too_early(self, replicas: Collection[str]) -> bool:
        """Whether these failed first and answered then; rather than now the one, now the other."""
        failed = sum(self.too_early.get(name, (0, 0))[0] for name in replicas)
        good = sum(self.too_early.get(name, (0, 0))[1] for name in replicas)
        return failed > good and failed >= LEAST_FAILED

    def culprit_of(self, finding: Finding) -> Operation | None:
        """What went wrong if it did not where it shows; also where the finding only names what that made."""
        return culprit_of(finding) or self.made.get(_named(finding))


def _is_rare(part: int, whole: int, times: int) -> bool:
    return not whole or bool((part / whole) ** times <= ACCIDENT)


def _are_rare(drawn: Iterable[tuple[int, int, int]]) -> bool:
    """Whether so many drawn of some and of others would hardly ever all be of those some."""
    chance = 1.0
    for some, others, times in drawn:
        for number in range(min(times, some)):
            chance *= (some - number) / (some + others - number)
    return chance <= ACCIDENT


def _named(finding: Finding) -> str:
    """What it is about, by the id in its sentence."""
    found = _ID.search(finding.why) if finding.anomaly in _OF_ONE_READ else None
    return found[0] if found else ""


def what_went_well(history: Iterable[Operation], events: Iterable[AnyEvent], findings: Sequence[Finding]) -> WentWell:
    """One pass over what users did, in the order of its ends; `findings` are those of it."""
    counted = _Counted(list(events), findings)
    for operation in history:
        if not operation.is_conclusion:
            counted.take(operation)
    return counted.told()


class _Counted:
    """Is fed with everything; memory grows with the users, the findings, and the run's length."""

    def __init__(self, events: Sequence[AnyEvent], findings: Sequence[Finding]) -> None:
        new = {event.to for event in events if isinstance(event, RolloutMoved)}
        steps = [event for event in events if isinstance(event, Step) and event.action == "enter"]
        self._since = min((one.at for one in steps if one.release in new), default=0)
        self._slot_of = {one.replica: one.slot for one in steps}
        self._answers, self._slots, self._sessions = Shares(), Shares(), Shares()
        self._before, self._after = Counter[Kind](), Counter[Kind]()
        self._by_release, self._took = Counter[tuple[Kind, str]](), Counter[str]()
        self._across, self._reads, self._elsewhere = Counter[str](), Counter[str](), Counter[Kind]()
        self._made_by: dict[str, str] = {}
        """Which release made each session."""
        self._written: dict[tuple[str, str], str] = {}
        self._found_elsewhere = Counter[Kind]()
        self._first_missed: dict[tuple[str, str], int] = {}
        for one in findings:
            if one.anomaly in MISSING and (reader := reader_of(one)) is not None:
                key = (one.user, _PLACES.get(reader.kind, ""))
                self._first_missed[key] = min(reader.end, self._first_missed.get(key, reader.end))
        self._holders = Holders(steps)
        self._early, self._trails, self._makers = _Early(self._holders), Trails(findings), _Makers(findings)

    def take(self, operation: Operation) -> None:
        self._early.take(operation)
        self._trails.take(operation)
        self._makers.take(operation)
        (self._after if operation.begin >= self._since else self._before)[operation.kind] += 1
        replica, release = replica_of(operation), release_of(operation)
        if replica is None or release is None:
            return
        self._answers.note(operation.end, release)
        self._by_release[operation.kind, release] += 1
        self._took[release] += operation.final.end - operation.final.begin
        if operation.session is not None and operation.kind is not Kind.BROWSE:
            maker = self._made_by.setdefault(operation.session, release)
            self._sessions.note(operation.end, maker)
            self._across[replica] += maker != release and operation.outcome is Outcome.OK
        place = _PLACES.get(operation.kind, "")
        key = (operation.user, place)
        if operation.kind in _WRITES:
            self._written[key] = replica
            self._slots.note(operation.end, self._slot_of.get(replica, ""))
        elif place and key in self._written:
            self._reads["all"] += 1
            if self._written[key] != replica:
                self._elsewhere[operation.kind] += 1
                missed = self._first_missed.get(key)
                self._found_elsewhere[operation.kind] += missed is None or operation.end < missed
            self._reads["pages"] += operation.is_page

    def told(self) -> WentWell:
        answered = Counter[str]()
        for (_, release), count in self._by_release.items():
            answered[release] += count
        return WentWell(
            before=self._before,
            after=self._after,
            answers=self._answers,
            slots=self._slots,
            by_release=self._by_release,
            sessions=self._sessions,
            took={name: (count, self._took[name]) for name, count in answered.items()},
            across=self._across,
            read_elsewhere=self._elsewhere,
            found_elsewhere=self._found_elsewhere,
            reads=self._reads["all"],
            pages=self._reads["pages"],
            holders=self._holders,
            too_early=self._early.by_replica(),
            made=self._makers.made,
            trails=self._trails,
        )


class _Makers:
    """What made the things that findings name; but for what was shown to somebody else and to its owner, too."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self._wanted = {_named(one) for one in findings}
        leaked = {_named(one) for one in findings if one.anomaly == Anomaly.LEAK}
        self._leaked: dict[str, set[str]] = {}
        for one in leaked:
            self._leaked.setdefault(one.rpartition(".")[0].rpartition(".")[0], set()).add(one)
        self.made: dict[str, Operation] = {}

    def take(self, operation: Operation) -> None:
        if operation.key in self._wanted:
            self.made[operation.key or ""] = operation
        elif operation.kind in READS and operation.user in self._leaked:
            for one in self._leaked[operation.user].intersection(shown(operation)):
                self.made.pop(one, None)  # it was done as it should be


class _Early:
    """How often each replica answered well before it failed for the last time."""

    def __init__(self, holders: Holders) -> None:
        self._holders = holders
        self._failed, self._good = Counter[str](), Counter[str]()
        self._before_last: dict[str, int] = {}

    def take(self, operation: Operation) -> None:
        for one in operation.tries:
            if one.result not in _FAILED and one.result < "500":
                if one.replica is not None:
                    self._good[one.replica] += 1
            elif (replica := self._holders.of(one)) is not None:
                self._failed[replica] += 1
                self._before_last[replica] = self._good[replica]

    def by_replica(self) -> dict[str, tuple[int, int]]:
        return {name: (times, self._before_last[name]) for name, times in self._failed.items()}
