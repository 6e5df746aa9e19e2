"""What explains a finding: who answered, who had made the state, and what had just been done to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Role
from lab.oracle.between import MISSING, Between
from lab.oracle.breach import seconds
from lab.oracle.loss import LOSING, StoreStrike, store_strikes
from lab.oracle.promises import APPLIED_ONCE, CLEAN_STOPS, ORDERS_ONCE, PROMISES, Anomaly
from lab.record import AnyEvent, ContainerEvent, Step, Strike, ZoneLost

JUST_BEFORE = 5.0
"""Seconds in which a strike or a step that did not touch the replicas involved still counts as just before."""
STORE_BEFORE = 20.0
"""The same for a strike on the store: everybody's state hangs on it, and it takes a while to come back."""
PATTERN_SHARE = 0.9
"""The share of the findings that a pattern must fit."""
NEW_FOR = 10.0
"""Seconds after it got its slot in which a replica counts as new."""

_GOING = {"drain": "was told to leave", "stop": "was stopped", "stopped": "stopped", "remove": "was removed"}


def blame(
    findings: Sequence[Finding], events: Sequence[AnyEvent], between: Between | None = None
) -> tuple[tuple[Finding, ...], str]:
    """The findings with their `cause` set where one is known, and the likely pattern behind them, or "".

    `between` is what new releases changed between the two sides of each finding (`changed_between`).

    A cause is what the record shows in time order, not a proof; a pattern is named only where nearly all
    findings fit it and nothing else does.
    """
    ordered = sorted(events, key=lambda event: event.at)
    dropping = _dropping_kind(findings, between) if between is not None else None
    if between is None or dropping is None:
        return tuple(replace(one, cause=_cause(one, ordered)) for one in findings), _likely(findings, ordered)
    changes = [kinds.get(dropping) for kinds in between.changes]
    caused = tuple(
        replace(one, cause=_cause(one, ordered) if change is None else _dropped(one, change))
        for one, change in zip(findings, changes, strict=True)
    )
    releases = sorted({str(_release(change)) for change in changes if change is not None})
    return caused, f"{', '.join(releases)} drops what it does not know of ({dropping}): formats are mixed"


def _dropped(finding: Finding, change: Operation) -> str:
    maker, ago = _maker(finding), seconds(finding.at - change.end)
    first = f"; {_who(maker)} had answered {maker.kind} first" if maker is not None else ""
    return f"{_who(change)} had answered {change.kind} {ago} before{first}"


def _cause(finding: Finding, events: Sequence[AnyEvent]) -> str:
    promise = PROMISES[finding.promise]
    if promise.explains_itself:
        return ""
    parts: list[str] = []
    maker, reader = _maker(finding), _reader(finding)
    if reader is not None:
        is_same = maker is not None and maker.id != reader.id and _replica(maker) == _replica(reader)
        parts.append(f"answered by {_who(reader)}" + (f", which had {promise.maker}" if is_same else ""))
        if maker is not None and _replica(maker) != _replica(reader):
            parts.append(f"{_who(maker)} had {promise.maker}")
    fate = _fate(_replica(maker) if maker is not None else None, finding.at, events)
    if fate:
        parts.append(fate)
    return "; ".join(parts)


def _maker(finding: Finding) -> Operation | None:
    """The first operation of the witness that a replica is known to have answered."""
    return next((one for one in finding.witness if _replica(one) is not None), None)


def _reader(finding: Finding) -> Operation | None:
    return next((one for one in reversed(finding.witness) if _replica(one) is not None), None)


def _replica(operation: Operation) -> str | None:
    return operation.tries[-1].replica if operation.tries else None


def _release(operation: Operation) -> str | None:
    return operation.tries[-1].release if operation.tries else None


def _who(operation: Operation) -> str:
    release = _release(operation)
    return f"{_replica(operation)} ({release})" if release else str(_replica(operation))


def _fate(replica: str | None, at: int, events: Sequence[AnyEvent]) -> str:
    """What had happened to `replica` before `at`; else whatever else had happened just before."""
    own, other, store = "", "", ""
    for event in events:
        if event.at > at:
            break
        ago = at - event.at
        just_before = ago <= JUST_BEFORE * NS
        if isinstance(event, Strike):
            line = f"{event.victim} was struck ({event.fault}) {seconds(ago)} before"
            own = line if event.victim == replica else own
            other = line if just_before else other
            if event.role == Role.STORE and ago <= STORE_BEFORE * NS:
                store = line
        elif isinstance(event, Step) and event.action in _GOING:
            if event.replica == replica and not own:
                own = f"{event.replica} {_GOING[event.action]} ({event.why or 'planned'}) {seconds(ago)} before"
            elif just_before and event.replica != replica:
                other = f"{event.replica} {_GOING[event.action]} {seconds(ago)} before"
        elif isinstance(event, ContainerEvent) and event.role == Role.STORE and _is_loss(event) and just_before:
            other = f"the store's container: {event.action} {seconds(ago)} before"
    return own or store or other


def _is_loss(event: ContainerEvent) -> bool:
    return event.action in {"kill", "die", "oom", "stop", "destroy", "pause"}


def _likely(findings: Sequence[Finding], events: Sequence[AnyEvent]) -> str:
    hurt = [finding for finding in findings if finding.witness]
    sessions = [one for one in hurt if one.anomaly in {Anomaly.FORCED_LOGOUT, Anomaly.FLAPPING}]
    missing = [one for one in hurt if one.anomaly in MISSING]
    doubled = [
        one
        for one in hurt
        if one.promise in {APPLIED_ONCE, ORDERS_ONCE}
        and one.anomaly in {Anomaly.APPLIED_TWICE, Anomaly.WRONG_QUANTITY, Anomaly.ORDER_DOUBLED}
    ]
    if sessions or missing:
        by_store = _likely_store(findings, events)
        if by_store:
            return by_store
        return _likely_place(sessions, "sessions live", events) or _likely_place(missing, "state lives", events)
    if doubled and _share(doubled, _was_repeated) >= PATTERN_SHARE:
        return "a repeated request is applied again: writes have no idempotency key, or it is ignored"
    unanswered = _likely_unanswered([one for one in hurt if one.anomaly == Anomaly.NOT_ANSWERED], events)
    if unanswered:
        return unanswered
    if any(one.promise == CLEAN_STOPS for one in findings):
        return "replicas leave before they have answered what they hold: they do not drain"
    return ""


def _dropping_kind(findings: Sequence[Finding], between: Between) -> Kind | None:
    """What a new release had done to nearly everybody in between, while where the state is kept explains nothing: the
    very replica that had written it found it gone. Of several kinds the one that is done least often tells most."""
    missing = [(one, kinds) for one, kinds in zip(findings, between.changes, strict=False) if one.anomaly in MISSING]
    if not any(_is_where_it_was_made(one) for one, _ in missing):
        return None
    counted = Counter(kind for _, kinds in missing for kind in kinds)
    telling = [kind for kind, times in counted.items() if times >= PATTERN_SHARE * len(missing)]
    return min(telling, key=lambda kind: between.times[kind], default=None)


def _likely_store(findings: Sequence[Finding], events: Sequence[AnyEvent]) -> str:
    """Told by a strike on the store just before nearly all that shows a loss."""
    strikes = store_strikes(events)
    losing = [one for one in findings if one.witness and one.anomaly in LOSING]
    if not strikes or not losing or _share(losing, lambda one: _follows(one, strikes) is not None) < PATTERN_SHARE:
        return ""
    first = min(losing, key=lambda one: one.at)
    struck = _follows(first, strikes) or strikes[0]
    if struck.victim != Role.STORE:  # one that is alone is called by its role
        return f"acknowledged writes were lost by failover: {struck.victim} was struck ({struck.fault})"
    return f"the store came back without what it had acknowledged: it was struck ({struck.fault})"


def _follows(finding: Finding, strikes: Sequence[StoreStrike]) -> StoreStrike | None:
    before = [one for one in strikes if one.at <= finding.at <= one.until + STORE_BEFORE * NS]
    return before[-1] if before else None


def _likely_unanswered(findings: Sequence[Finding], events: Sequence[AnyEvent]) -> str:
    if findings and _share(findings, lambda one: _came_after_a_zone_was_lost(one, events)) >= PATTERN_SHARE:
        return "what was left of the cluster did not carry the load: too few replicas outside the lost zone"
    if findings and _share(findings, lambda one: _met_a_new_replica(one, events)) >= PATTERN_SHARE:
        return "replicas get users before they can serve them: they say too early that they are ready"
    return ""


def _likely_place(findings: Sequence[Finding], what: str, events: Sequence[AnyEvent]) -> str:
    """Told by who had made what is missing: another replica (memory), or another release (formats)."""
    elsewhere = [one for one in findings if _is_elsewhere(one)]
    if not findings or len(elsewhere) < PATTERN_SHARE * len(findings) or _store_was_lost(findings, events):
        return ""
    outlived = [one for one in elsewhere if not _maker_is_gone(one, events)]
    # Where formats are mixed, whoever has the same release reads it all: one loss within a release is of memory.
    if len(outlived) >= 3 and _share(elsewhere, _is_other_release) >= PATTERN_SHARE:
        return "two releases do not read each other's data: formats are mixed"
    if not outlived or len(elsewhere) >= 5:
        return f"{what} in the instance's memory"
    return ""


def _share(findings: Sequence[Finding], fits: Callable[[Finding], bool]) -> float:
    return sum(1 for finding in findings if fits(finding)) / len(findings)


def _is_elsewhere(finding: Finding) -> bool:
    maker, reader = _maker(finding), _reader(finding)
    return maker is not None and reader is not None and _replica(maker) != _replica(reader)


def _is_where_it_was_made(finding: Finding) -> bool:
    maker, reader = _maker(finding), _reader(finding)
    return maker is not None and reader is not None and maker.id != reader.id and not _is_elsewhere(finding)


def _is_other_release(finding: Finding) -> bool:
    maker, reader = _maker(finding), _reader(finding)
    return maker is not None and reader is not None and _release(maker) != _release(reader)


def _maker_is_gone(finding: Finding, events: Sequence[AnyEvent]) -> bool:
    maker = _maker(finding)
    name = _replica(maker) if maker is not None else None
    return any(
        event.at <= finding.at
        and (
            (isinstance(event, Strike) and event.victim == name)
            or (isinstance(event, Step) and event.replica == name and event.action in _GOING)
        )
        for event in events
    )


def _store_was_lost(findings: Sequence[Finding], events: Sequence[AnyEvent]) -> bool:
    first = min(finding.at for finding in findings)
    return any(
        isinstance(event, ContainerEvent) and event.role == Role.STORE and _is_loss(event) and event.at <= first
        for event in events
    )


def _met_a_new_replica(finding: Finding, events: Sequence[AnyEvent]) -> bool:
    """Did a try fail at a slot whose replica had entered it shortly before, and not begun to leave?"""
    return any(
        _is_new(slot, one.end, events)
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
    entered = next((one for one in reversed(steps) if one.action in {"enter", "drain"}), None)
    return entered is not None and entered.action == "enter" and at - entered.at <= NEW_FOR * NS


def _was_repeated(finding: Finding) -> bool:
    return any(
        len(operation.tries) > 1 or any(len(one.edge) > 1 for one in operation.tries) for operation in finding.witness
    )
