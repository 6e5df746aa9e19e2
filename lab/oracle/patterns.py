"""The pattern behind many findings: the engine's own words first, then what nearly all of them have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Role
from lab.oracle.between import MISSING, Between
from lab.oracle.engine_words import said_by_the_engine
from lab.oracle.interval import READS
from lab.oracle.loss import LOSING, StoreStrike, store_strikes
from lab.oracle.promises import APPLIED_ONCE, CLEAN_STOPS, DEVICES_AGREE, ORDERS_ONCE, TRIES, Anomaly
from lab.oracle.went_well import ACCIDENT, WentWell
from lab.oracle.where_it_shows import LEAST, Known, by_release, one_maker, one_replica, pages_alone, slower_release
from lab.oracle.witness import culprit_of, is_shown_again, maker_of, reader_of, release_of, replica_of, was_shown_before
from lab.record import AnyEvent, ContainerEvent, Step, Strike, ZoneLost

STORE_BEFORE = 20.0
"""Seconds after a strike on the store in which it explains: everybody's state hangs on it, and it takes a while."""
PATTERN_SHARE = 0.9
"""The share of the findings of a sort that a pattern must fit."""
NEW_FOR = 10.0
"""Seconds after it got its slot in which a replica counts as new."""
SHOWN_LATER = 0.5
"""The share of what was missed that must have shown later, to call it late: the rest was removed, or the run over."""
SOON = 2.0
"""Seconds after a write was acknowledged within which a read that misses it may have come too early for it."""
CONTRADICTED = 20
"""So many times as often as it went wrong it must have gone well elsewhere, to say that it is not kept in one place."""

_LEAVING = frozenset({"drain", "stop", "stopped", "remove"})
_NO_DRAIN = "replicas leave before they have answered what they hold: they do not drain"
_SESSIONS = frozenset({Anomaly.FORCED_LOGOUT, Anomaly.FLAPPING})
_OF_OWN_APPS = frozenset({Kind.ACT, Kind.READ, Kind.STATE})
_DOUBLED = frozenset({Anomaly.APPLIED_TWICE, Anomaly.WRONG_QUANTITY, Anomaly.ORDER_DOUBLED, Anomaly.DONE_AGAIN})
_UNANSWERED = frozenset({Anomaly.NOT_ANSWERED, Anomaly.REFUSED})


class _Sorts(NamedTuple):
    """Findings by what sort of harm they are."""

    sessions: list[Finding]
    missing: list[Finding]
    doubled: list[Finding]
    unanswered: list[Finding]
    cut: list[Finding]
    others: list[Finding]
    differing: list[Finding]
    """Two devices of an account that show something else, which whatever is wrong may lead to."""


def likely_pattern(findings: Sequence[Finding], known: Known) -> str:
    """What the findings are likely due to, or ""."""
    events, sorts = known.events, _sort(findings)
    said = said_by_the_engine(findings, events)
    of_all = _of_the_whole(findings, known)
    if of_all:
        return of_all
    by_store = likely_store(findings, events) if sorts.sessions or sorts.missing else ""
    if by_store:
        return by_store
    for sort in sorted(sorts, key=len, reverse=True):  # what most findings share explains most
        if said and (sort is sorts.unanswered or sort is sorts.cut):
            return said  # whoever ends by itself answers nobody, and cuts off whoever is there
        patterns = _patterns(sort, sorts, known) if sort else []
        if patterns:
            return "; ".join(filter(None, (said, _in_words(patterns))))
    return said


def _of_the_whole(findings: Sequence[Finding], known: Known) -> str:
    """Of what no single user met."""
    if any(one.witness for one in findings):
        return ""
    if findings and all(one.anomaly == Anomaly.MUTE for one in findings):
        return "replicas say that they are ready, and answer nobody: what is asked of them is not what users need"
    return slower_release(known) if any(one.anomaly == Anomaly.SLOW_ANSWERS for one in findings) else ""


def _sort(findings: Sequence[Finding]) -> _Sorts:
    hurt = [one for one in findings if one.witness]
    told = (*_SESSIONS, *MISSING, *_DOUBLED, *_UNANSWERED, Anomaly.CUT_BY_STOP)
    return _Sorts(
        sessions=[one for one in hurt if one.anomaly in _SESSIONS],
        missing=[one for one in hurt if one.anomaly in MISSING],
        doubled=[one for one in hurt if one.promise in {APPLIED_ONCE, ORDERS_ONCE} and one.anomaly in _DOUBLED],
        unanswered=[one for one in hurt if one.promise == TRIES and one.anomaly in _UNANSWERED],
        cut=[one for one in hurt if one.promise == CLEAN_STOPS],
        others=[one for one in hurt if one.anomaly not in told and one.promise != DEVICES_AGREE],
        differing=[one for one in hurt if one.promise == DEVICES_AGREE],
    )


def _patterns(sort: Sequence[Finding], sorts: _Sorts, known: Known) -> list[str]:
    """All that fit nearly every finding of a sort, and that nothing contradicts."""
    found: list[str] = []
    events, well = known.events, known.occasions
    if sort is sorts.sessions:
        alone = one_replica(sort, "refuses sessions", known)
        taken = well.get("sessions_elsewhere", 0)
        within = taken - well.get("sessions_across", 0) if well else None
        found = [alone or _likely_place(sort, "sessions live", events, taken, within)]
    elif sort is sorts.missing:
        alone = one_replica(sort, "does not show what is there", known) or one_maker(sort, known)
        found = [pages_alone(sort, known) or alone or _stale(sort, known) or _kept(sort, known) or _too_soon(sort)]
    elif sort is sorts.doubled:
        found = [_likely_repeated(sort, known)]
    elif sort is sorts.unanswered:
        cut = _cut_off(sort, sorts.cut)
        # Whoever said too early that it is ready would have failed while nobody left beside it, too.
        is_told = bool(cut) and known.well is not None and len(sort) >= LEAST
        found = [cut] if is_told else [_likely_unanswered(sort, known), cut]
    elif sort is sorts.cut:
        found = [_NO_DRAIN]
    found = [one for one in found if one]
    if found or sort is sorts.cut:
        return found
    # Of somebody's own app it is not known what went well: by who was harmed first nearly all is of the first release.
    return [] if all(one.witness[-1].kind in _OF_OWN_APPS for one in sort) else by_release(sort, known)


def _in_words(patterns: Sequence[str]) -> str:
    return patterns[0] if len(patterns) == 1 else f"two causes fit: {patterns[0]}; or {patterns[1]}"


def _likely_repeated(doubled: Sequence[Finding], known: Known) -> str:
    if _share(doubled, _was_repeated) < PATTERN_SHARE:
        return ""
    again, elsewhere = (known.occasions.get(name, 0) for name in ("sent_again", "sent_again_elsewhere"))
    if all(map(_was_repeated_elsewhere, doubled)) and again and (elsewhere / again) ** len(doubled) <= ACCIDENT:
        return "a request that is repeated at another replica is applied again: each has keys of its own"
    return "a repeated request is applied again: writes have no idempotency key, or it is ignored"


def _kept(missing: Sequence[Finding], known: Known) -> str:
    """Where it is, if not where all can read it: whoever showed it once can, and what others showed is not in one."""
    if known.well is not None and (known.well.trails.goes_back or known.well.is_found_elsewhere(missing)):
        return ""
    return _likely_place(missing, "state lives", known.events, _read_elsewhere(missing, known))


def _stale(missing: Sequence[Finding], known: Known) -> str:
    """What is missed is there all the same, and what had been shown already was missed."""
    if len(missing) < LEAST or not any(map(was_shown_before, missing)):
        return ""
    if _share(missing, is_shown_again) < SHOWN_LATER:
        return ""  # what never shows again was lost
    if known.well is not None and (known.well.trails.goes_back or known.well.trails.never_comes):
        return ""
    if known.well is not None and _others_alone(missing, known.well):
        return (
            "replicas show at once what they wrote themselves, and late what others did: each has a cache of its own,"
            " or writes to the store later"
        )
    return "replicas show old copies: each keeps a cache of its own that nobody tells of changes"


def _others_alone(missing: Sequence[Finding], well: WentWell) -> bool:
    """Whether whoever had written it hardly ever misses it."""
    pairs = [(culprit_of(one), reader_of(one)) for one in missing]
    known = [(one, other) for one, other in pairs if one is not None and other is not None]
    apart = sum(replica_of(one) != replica_of(other) for one, other in known)
    return apart >= PATTERN_SHARE * len(known) and well.is_of_others(apart)


def _too_soon(missing: Sequence[Finding]) -> str:
    """Every read came right after the write had been acknowledged, wherever it was made."""
    if len(missing) < LEAST or _share(missing, _came_soon) < PATTERN_SHARE:
        return ""
    if _share(missing, is_shown_again) < SHOWN_LATER or any(map(was_shown_before, missing)):
        return ""  # what never shows again was lost, and what had been shown once was not late
    return "writes are acknowledged before they are done: reads come too soon for them"


def _came_soon(finding: Finding) -> bool:
    reads = [one for one in finding.witness if one.kind in READS]
    writes = [one for one in finding.witness if one.kind not in READS]
    return bool(reads and writes) and any(
        0 <= read.begin - write.end <= SOON * NS for read in reads for write in writes
    )


def _cut_off(unanswered: Sequence[Finding], cut: Sequence[Finding]) -> str:
    """Nearly all that nobody answered was cut by a planned stop, too."""
    stopped = {operation.id for one in cut for operation in one.witness}
    if not stopped or _share(unanswered, lambda one: any(op.id in stopped for op in one.witness)) < PATTERN_SHARE:
        return ""
    is_repeatable = any(op.is_repeatable for one in unanswered for op in one.witness)
    return _NO_DRAIN if is_repeatable else f"{_NO_DRAIN}, and what they cut can't be repeated without a key"


def dropping_kind(findings: Sequence[Finding], between: Between, well: WentWell | None = None) -> Kind | None:
    """What a new release had done to nearly everybody in between, while where the state is kept explains nothing: the
    very replica that had written it found it gone, or all others had found it before. Of several kinds the one that is
    done least often tells most."""
    missing = [
        (one, _of_something_else(one, kinds))
        for one, kinds in zip(findings, between.changes, strict=False)
        if one.anomaly in MISSING
    ]
    if any(is_shown_again(one) for one, _ in missing):
        return None  # what a later read shows again was not dropped
    lost = [one for one, _ in missing]
    if not any(map(_is_where_it_was_made, lost)) and not (lost and well is not None and well.is_found_elsewhere(lost)):
        return None
    counted = Counter(kind for _, kinds in missing for kind in kinds)
    telling = [kind for kind, times in counted.items() if times >= PATTERN_SHARE * len(missing)]
    return min(telling, key=lambda kind: between.times[kind], default=None)


def _of_something_else(finding: Finding, kinds: Mapping[Kind, Operation]) -> list[Kind]:
    """The kinds of what was done in between, but for what a release did to its own: that it does know of."""
    maker = culprit_of(finding)
    if maker is None:
        return list(kinds)
    return [kind for kind, one in kinds.items() if kind is not maker.kind or release_of(one) != release_of(maker)]


def likely_store(findings: Sequence[Finding], events: Sequence[AnyEvent]) -> str:
    """Told by a strike on the store just before nearly all that shows a loss."""
    strikes = store_strikes(events)
    losing = [one for one in findings if one.witness and one.anomaly in LOSING]
    if not strikes or not losing or _share(losing, lambda one: _follows(one, strikes) is not None) < PATTERN_SHARE:
        return ""
    first = min(losing, key=lambda one: one.at)
    struck = _follows(first, strikes) or strikes[0]
    if all(one.witness[-1].kind in _OF_OWN_APPS for one in losing):
        return f"{struck.victim} came back without what it had acknowledged: it was struck ({struck.fault})"
    if struck.victim != Role.STORE:  # one that is alone is called by its role
        return f"acknowledged writes were lost by failover: {struck.victim} was struck ({struck.fault})"
    return f"the store came back without what it had acknowledged: it was struck ({struck.fault})"


def _follows(finding: Finding, strikes: Sequence[StoreStrike]) -> StoreStrike | None:
    culprit = culprit_of(finding)
    done = (
        finding.at if culprit is None else culprit.begin
    )  # what was done when all was over again, no strike took away
    before = [one for one in strikes if one.at <= finding.at <= one.until + STORE_BEFORE * NS and done <= one.until]
    return before[-1] if before else None


def _likely_unanswered(findings: Sequence[Finding], known: Known) -> str:
    events = known.events
    strikes = store_strikes(events)
    if strikes and findings and _share(findings, lambda one: _was_without_store(one, strikes)) >= PATTERN_SHARE:
        return f"{strikes[0].victim} was struck ({strikes[0].fault}), and what needs it was not answered meanwhile"
    if findings and _share(findings, lambda one: _came_after_a_zone_was_lost(one, events)) >= PATTERN_SHARE:
        return "what was left of the cluster did not carry the load: too few replicas outside the lost zone"
    if findings and _share(findings, lambda one: _met_a_new_replica(one, events)) >= PATTERN_SHARE:
        well = known.well
        if well is not None and not well.was_too_early({name for one in findings for name in _asked(one, well)}):
            return ""  # they answered well before they failed
        return "replicas get users before they can serve them: they say too early that they are ready"
    return ""


def _was_without_store(finding: Finding, strikes: Sequence[StoreStrike]) -> bool:
    """Whether one of its tries was made while a store was struck."""
    return any(
        struck.at <= one.end and one.begin <= struck.until
        for operation in finding.witness
        for one in operation.tries
        for struck in strikes
    )


def _read_elsewhere(missing: Sequence[Finding], known: Known) -> int:
    """How often what these reads show was asked of another replica than had written it."""
    if known.well is None:
        return known.occasions.get("read_elsewhere", 0)
    kinds = {reader.kind for one in missing if (reader := reader_of(one)) is not None}
    return sum(known.well.read_elsewhere.get(kind, 0) for kind in kinds)


def _asked(finding: Finding, well: WentWell) -> Iterator[str]:
    for operation in finding.witness:
        for one in operation.tries:
            if name := well.holders.of(one):
                yield name


def _likely_place(
    findings: Sequence[Finding], what: str, events: Sequence[AnyEvent], well: int, within: int | None = None
) -> str:
    """Told by who had made what is missing: another replica (memory), or another release (formats).

    `well` is how often another replica took it, `within` how often one of the same release did, where that is known.
    """
    elsewhere = [one for one in findings if _is_elsewhere(one)]
    if not findings or len(elsewhere) < PATTERN_SHARE * len(findings) or _store_was_lost(findings, events):
        return ""
    outlived = [one for one in elsewhere if not _maker_is_gone(one, events)]
    # Where formats are mixed, whoever has the same release reads it all: one loss within a release is of memory.
    is_read_within = within is None or within >= len(findings)
    if len(outlived) >= 3 and is_read_within and _share(elsewhere, _is_other_release) >= PATTERN_SHARE:
        return "two releases do not read each other's data: formats are mixed"
    if well > CONTRADICTED * len(findings):
        return ""  # it went well elsewhere all the time
    if outlived and len(elsewhere) < 5:
        return ""
    if all(one.witness[-1].kind in _OF_OWN_APPS for one in elsewhere):  # of the shop it is known what it could be
        return f"{what} in the instance: in its memory or files, or behind a secret of its own"
    return f"{what} in the instance's memory"


def _share(findings: Sequence[Finding], fits: Callable[[Finding], bool]) -> float:
    return sum(1 for finding in findings if fits(finding)) / len(findings)


def _is_elsewhere(finding: Finding) -> bool:
    maker, reader = maker_of(finding), reader_of(finding)
    return maker is not None and reader is not None and replica_of(maker) != replica_of(reader)


def _is_where_it_was_made(finding: Finding) -> bool:
    maker, reader = maker_of(finding), reader_of(finding)
    return maker is not None and reader is not None and maker.id != reader.id and not _is_elsewhere(finding)


def _is_other_release(finding: Finding) -> bool:
    maker, reader = maker_of(finding), reader_of(finding)
    return maker is not None and reader is not None and release_of(maker) != release_of(reader)


def _maker_is_gone(finding: Finding, events: Sequence[AnyEvent]) -> bool:
    maker = maker_of(finding)
    name = replica_of(maker) if maker is not None else None
    return any(
        event.at <= finding.at
        and (
            (isinstance(event, Strike) and event.victim == name)
            or (isinstance(event, Step) and event.replica == name and event.action in _LEAVING)
        )
        for event in events
    )


def _store_was_lost(findings: Sequence[Finding], events: Sequence[AnyEvent]) -> bool:
    first = min(finding.at for finding in findings)
    return any(
        isinstance(event, ContainerEvent) and event.role == Role.STORE and is_loss(event) and event.at <= first
        for event in events
    )


def _met_a_new_replica(finding: Finding, events: Sequence[AnyEvent]) -> bool:
    """Did a try fail at a slot whose replica had entered it shortly before, and not begun to leave?

    What was asked before that one entered is its predecessor's.
    """
    return any(
        _is_new(slot, one.begin, events)
        for operation in finding.witness
        for one in operation.tries
        if not one.answered or one.result >= "500"
        for slot in one.edge[-1:]
    )


def _came_after_a_zone_was_lost(finding: Finding, events: Sequence[AnyEvent]) -> bool:
    """Had a zone been lost before? What piled up meanwhile outlasts it."""
    return any(isinstance(event, ZoneLost) and event.at <= finding.at for event in events)


def _is_new(slot: str, at: int, events: Sequence[AnyEvent]) -> bool:
    steps = [one for one in events if isinstance(one, Step) and one.slot == slot and one.at <= at]
    entered = next((one for one in reversed(steps) if one.action == "enter"), None)
    if entered is None or at - entered.at > NEW_FOR * NS:
        return False
    return not any(one.action == "drain" and one.replica == entered.replica and one.at >= entered.at for one in steps)


def _was_repeated(finding: Finding) -> bool:
    return any(
        len(operation.tries) > 1 or any(len(one.edge) > 1 for one in operation.tries) for operation in finding.witness
    )


def _was_repeated_elsewhere(finding: Finding) -> bool:
    return any(len({one.replica for one in operation.tries if one.replica}) > 1 for operation in finding.witness)


def is_loss(event: ContainerEvent) -> bool:
    """Whether this may have cost a container what it had in memory."""
    return event.action in {"kill", "die", "oom", "stop", "destroy", "pause"}
