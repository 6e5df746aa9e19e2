"""Whether findings show at one place alone, or come from one: a replica, or a release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from lab.clock import NS
from lab.model import Finding, Kind, Operation
from lab.oracle.promises import TRIES, Anomaly
from lab.oracle.went_well import WentWell
from lab.oracle.witness import maker_of, reader_of, release_of, replica_of
from lab.record import AnyEvent, RolloutMoved, Step

_OF_ONE_ANSWER = frozenset({Anomaly.LEAK, Anomaly.SWAP, Anomaly.LET_IN, Anomaly.NOT_ANSWERED, Anomaly.REFUSED})
SLOWER, TIMED = 3.0, 20
"""So many times as long as the quickest the slowest release must take in the mean, each of so many answers at least."""
LEAST = 3
"""Findings from which on what all have in common says something, where one of them may be chance."""
OUTDONE = 20
"""Sessions of another release that others of its own must have taken, to say that one alone does not."""
NEARLY_ALL = 0.9
"""The share of what was done before, and shows later, that must be of one release."""
BESIDE = 0.5
"""The share of what went wrong at one replica that must have gone wrong while others of its release served."""


class Known(NamedTuple):
    """What is known beside the findings, by which a pattern may be contradicted."""

    events: Sequence[AnyEvent]
    """In order of time."""
    occasions: Mapping[str, int] = {}
    """How often what is broken went well."""
    well: WentWell | None = None
    """What went well, and where."""


def one_replica(findings: Sequence[Finding], what: str, known: Known) -> str:
    """One slot alone, whoever had made what its replica does not take, though others of its release serve beside it."""
    entered = _Entered(known.events)
    readers = {replica_of(reader) or "" for one in findings if (reader := reader_of(one)) is not None}
    makers = {replica_of(maker) for one in findings if (maker := maker_of(one)) is not None}
    places = {entered.slots.get(name) for name in readers}
    if len(findings) < LEAST or len(places) != 1 or None in places or len(makers) < 2:
        return ""
    who = next(iter(readers))
    if not entered.is_beside(who, findings) and not entered.is_outdone(who, known.well):
        return ""  # before another one of its release served, it stood alone for that
    return f"{_named(readers, places)} alone {what}: its clock, its settings or its own memory differ from the others'"


def one_maker(findings: Sequence[Finding], known: Known) -> str:
    """What was done at one slot alone is gone, whoever shows it, though others of its release serve beside it."""
    entered, well = _Entered(known.events), known.well
    if well is None:
        return ""
    culprits = [one for finding in findings if (one := well.culprit_of(finding)) is not None]
    makers = {replica_of(one) or "" for one in culprits}
    readers = {replica_of(reader) for one in findings if (reader := reader_of(one)) is not None}
    places = {entered.slots.get(name) for name in makers}
    if len(findings) < LEAST or len(culprits) < len(findings) or len(readers) < 2:
        return ""
    if len(places) != 1 or None in places:
        return ""
    if not well.slots.is_no_accident(str(next(iter(places))), [one.end for one in culprits]):
        return ""
    if not entered.is_beside(next(iter(makers)), findings):
        return ""
    return (
        f"what {_named(makers, places)} alone was told is not kept: its clock, its settings or its own memory differ"
        " from the others'"
    )


def by_release(findings: Sequence[Finding], known: Known) -> list[str]:
    """What one release alone shows, or did; or at least that it began with a new one."""
    served = {one.release for one in known.events if isinstance(one, Step) and one.action == "enter"}
    if len(findings) < LEAST or len(served) < 2:
        return []
    found = [_shown_by(findings, known), _done_by(findings, known)]
    return [one for one in found if one] or [one for one in (_began_with(findings, known),) if one]


def pages_alone(findings: Sequence[Finding], known: Known) -> str:
    """Pages alone show it, as browsers read them, and nobody whom programs ask."""
    readers = [reader_of(one) for one in findings]
    if known.well is None or not all(one is not None and one.is_page for one in readers):
        return ""
    if not known.well.is_of_pages(len(findings)):
        return ""
    name = _shown_by(findings, known) and _only(findings, reader_of)
    return f"pages alone show it, as browsers get them{f', and only those of {name}' if name else ''}"


def slower_release(known: Known) -> str:
    """Takes one release many times as long as the others?"""
    if known.well is None or len(known.well.took) < 2:
        return ""
    means = {name: nanoseconds / count / NS for name, (count, nanoseconds) in known.well.took.items() if count >= TIMED}
    slowest, quickest = max(means, key=means.__getitem__, default=""), min(means.values(), default=0.0)
    if len(means) < 2 or means[slowest] < SLOWER * quickest:
        return ""
    return f"it comes with {slowest}: its answers take {means[slowest]:.2f} s in the mean, others {quickest:.2f} s"


def _shown_by(findings: Sequence[Finding], known: Known) -> str:
    entered = _Entered(known.events)
    names = {entered.release_that_answered(one) for one in findings}
    name = next(iter(names)) if len(names) == 1 else ""
    if not name:
        return ""
    results, well = Counter(one.witness[-1].final.result for one in findings if one.promise == TRIES), known.well
    new = entered.came_after(name)
    if well is not None and results and new and _is_since(name, findings, entered.first[new], well):
        answers = f"{name} answers with {', '.join(sorted(results))} since {new} is there"
        return f"{answers}: it does not read what that writes (formats, schema)"
    if well is not None and not _is_telling(name, findings, well, has_come=_has_come(name, known)):
        return ""
    if results and set(results) != {"200"}:
        return f"it comes with {name}: it answers with {', '.join(sorted(results))}"
    return f"it comes with {name}: nothing of it shows where the other release answers"


def _is_since(name: str, findings: Sequence[Finding], at: int, well: WentWell) -> bool:
    """Whether an old release shows it since then, and before it did not; while whoever came answered well."""
    kinds = Counter(reader.kind for one in findings if (reader := reader_of(one)) is not None)
    is_new = min(one.at for one in findings) >= at and well.began_then(kinds)
    return is_new and well.answers.is_no_accident(name, [one.at for one in findings])


def _has_come(release: str, known: Known) -> bool:
    """Whether another release was there before: of each user only the first harm counts, so that most of it is found
    early, and with the first release, whoever did it."""
    first = _Entered(known.events).first
    return any(at < first.get(release, 0) for at in first.values())


def _is_telling(name: str, findings: Sequence[Finding], well: WentWell, *, has_come: bool) -> bool:
    """Whether it is no accident that one release showed all of it. What was harmed before shows later, and so with the
    new release more and more, whoever did it; but where an answer by itself is wrong nothing was before."""
    if well.answers.is_no_accident(name, [one.at for one in findings]):
        return True
    kinds = Counter(reader.kind for one in findings if (reader := reader_of(one)) is not None)
    is_of_one_answer = all(one.anomaly in _OF_ONE_ANSWER for one in findings)
    return bool(kinds) and has_come and is_of_one_answer and well.is_of(name, kinds)


def _done_by(findings: Sequence[Finding], known: Known) -> str:
    well = known.well
    name = "" if well is None else _only(findings, well.culprit_of)
    if not name or well is None:
        return ""
    culprits = [one for finding in findings if (one := well.culprit_of(finding)) is not None]
    kinds = {one.kind for one in culprits}
    if kinds == {Kind.LOGIN}:
        is_telling = well.sessions.is_no_accident(name, [one.at for one in findings])
        return f"it comes with {name}: only sessions that it made go wrong, whoever is asked" if is_telling else ""
    kinds_of = Counter(one.kind for one in culprits)
    is_telling = well.is_of(name, kinds_of) if _has_come(name, known) else False
    if not is_telling and not well.answers.is_no_accident(name, [one.end for one in culprits]):
        return ""
    what = kinds.pop() if len(kinds) == 1 else "what is changed"
    return f"it comes with {name}: {what} goes wrong there alone, whichever release shows it"


def _began_with(findings: Sequence[Finding], known: Known) -> str:
    """Nothing of the kind was found before the first replica of a new release."""
    new = {one.to for one in known.events if isinstance(one, RolloutMoved)}
    first = min((one.at for one in known.events if isinstance(one, Step) and one.release in new), default=None)
    well, kinds = known.well, Counter(reader.kind for one in findings if (reader := reader_of(one)) is not None)
    if well is None or first is None or len(new) != 1 or not well.began_then(kinds):
        return ""
    if min(one.at for one in findings) < first:
        return ""
    return f"it began with {new.pop()}: there was nothing of it before its first replica"


def _only(findings: Sequence[Finding], of: Callable[[Finding], Operation | None]) -> str:
    """The release of nearly all of these operations that are known; empty where there is none, or most are not."""
    known = [release for finding in findings if (one := of(finding)) is not None and (release := release_of(one))]
    if not known or len(known) * 2 < len(findings):
        return ""
    release, times = Counter(known).most_common(1)[0]
    return release if times >= NEARLY_ALL * len(known) else ""


def _named(replicas: set[str], slots: set[str | None]) -> str:
    return next(iter(replicas)) if len(replicas) == 1 else f"whatever serves {next(iter(slots))}"


class _Entered:
    """Who entered which slot, and when."""

    def __init__(self, events: Sequence[AnyEvent]) -> None:
        self._steps = [one for one in events if isinstance(one, Step) and one.action == "enter"]
        self.slots: Mapping[str, str] = {one.replica: one.slot for one in self._steps}
        self.first: dict[str, int] = {}
        """When the first replica of each release did."""
        for one in self._steps:
            self.first.setdefault(one.release, one.at)
        self._releases = {one.replica: one.release for one in self._steps}

    def came_after(self, release: str) -> str:
        """The release that came after another one; empty if none did."""
        later = [name for name, at in self.first.items() if at > self.first.get(release, at)]
        return min(later, key=self.first.__getitem__, default="")

    def release_that_answered(self, finding: Finding) -> str:
        """Which release showed it, or should have: where no replica is known, by the slot that was asked last."""
        reader = reader_of(finding)
        if reader is not None:
            return release_of(reader) or ""
        edge = finding.witness[-1].final.edge if finding.witness else ()
        holders = [one.release for one in self._steps if one.slot in edge[-1:] and one.at <= finding.at]
        return holders[-1] if holders else ""

    def is_beside(self, replica: str, findings: Sequence[Finding]) -> bool:
        """Whether enough of it was found after another slot had a replica of its release."""
        release, slot = self._releases[replica], self.slots[replica]
        second = min((one.at for one in self._steps if one.release == release and one.slot != slot), default=None)
        return second is not None and sum(one.at > second for one in findings) >= BESIDE * len(findings)

    def is_outdone(self, replica: str, well: WentWell | None) -> bool:
        """Whether others of its release took what it does not: sessions of another release."""
        if well is None:
            return False
        release, slot = self._releases[replica], self.slots[replica]
        others = {one.replica for one in self._steps if one.release == release and one.slot != slot}
        return sum(well.across.get(name, 0) for name in others) >= OUTDONE > well.across.get(replica, 0)
