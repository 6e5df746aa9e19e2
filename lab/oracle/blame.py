"""What explains a finding: who answered, who had made the state, and what had just been done to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Role
from lab.oracle.between import Between
from lab.oracle.breach import seconds
from lab.oracle.outside import JUST_BEFORE, outside_fate
from lab.oracle.patterns import STORE_BEFORE, dropping_kind, is_loss, likely_pattern
from lab.oracle.promises import PROMISES, TRIES
from lab.oracle.went_well import WentWell
from lab.oracle.where_it_shows import Known
from lab.oracle.witness import maker_of, reader_of, release_of, replica_of, who
from lab.record import AnyEvent, ContainerEvent, Step, Strike

_CUT = "502"
"""What a balancer answers whose replica closed the connection."""
_LATE = 0.3
"""Seconds that the engine's word may come after what it tells of."""
_ENDINGS = frozenset({"kill", "oom", "die", "stop", "pause", "restart"})
_OF_OWN_APPS = frozenset({Kind.ACT, Kind.READ, Kind.BROWSE})
_GOING = {"drain": "was told to leave", "stop": "was stopped", "stopped": "stopped", "remove": "was removed"}


def blame(
    findings: Sequence[Finding],
    events: Sequence[AnyEvent],
    between: Between | None = None,
    occasions: Mapping[str, int] | None = None,
    well: WentWell | None = None,
) -> tuple[tuple[Finding, ...], str]:
    """The findings with their `cause` set where one is known, and the likely pattern behind them, or "".

    `between` is what new releases changed between the two sides of each finding (`changed_between`), `occasions` how
    often what is broken went well, `well` what went well and where.

    A cause is what the record shows in time order, not a proof. What the engine said of the app's own containers comes
    first; a pattern is named only where nearly all findings of the commonest sort fit it and nothing contradicts it.
    """
    ordered = sorted(events, key=lambda event: event.at)
    dropping = dropping_kind(findings, between, well) if between is not None else None
    if between is None or dropping is None:
        known = Known(ordered, occasions or {}, well)
        return tuple(replace(one, cause=_cause(one, ordered)) for one in findings), likely_pattern(findings, known)
    changes = [kinds.get(dropping) for kinds in between.changes]
    caused = tuple(
        replace(one, cause=_cause(one, ordered) if change is None else _dropped(one, change))
        for one, change in zip(findings, changes, strict=True)
    )
    releases = sorted({str(release_of(change)) for change in changes if change is not None})
    return caused, f"{', '.join(releases)} drops what it does not know of ({dropping}): formats are mixed"


def _dropped(finding: Finding, change: Operation) -> str:
    maker, ago = maker_of(finding), seconds(finding.at - change.end)
    first = f"; {who(maker)} had answered {maker.kind} first" if maker is not None else ""
    return f"{who(change)} had answered {change.kind} {ago} before{first}"


def _cause(finding: Finding, events: Sequence[AnyEvent]) -> str:
    promise = PROMISES[finding.promise]
    if promise.explains_itself:
        return ""
    parts: list[str] = []
    maker, reader = maker_of(finding), reader_of(finding)
    if reader is not None:
        is_same = maker is not None and maker.id != reader.id and replica_of(maker) == replica_of(reader)
        parts.append(f"answered by {who(reader)}" + (f", which had {promise.maker}" if is_same else ""))
        if maker is not None and replica_of(maker) != replica_of(reader):
            parts.append(f"{who(maker)} had {promise.maker}")
    slots = _asked_in_vain(finding)
    fate = _fate(replica_of(maker) if maker is not None else None, finding.at, events, slots)
    if not fate and slots and not any(_ended_in(slots, event, finding.at) for event in events):
        fate = _closed(finding, slots)
    if fate:
        parts.append(fate)
    return "; ".join(parts)


def _asked_in_vain(finding: Finding) -> frozenset[str]:
    """The slots that the balancer asked and had no answer from, where that is all that is known of who was asked."""
    last = finding.witness[-1].tries[-1] if finding.witness and finding.witness[-1].tries else None
    is_known = last is None or finding.promise != TRIES or any(replica_of(one) for one in finding.witness)
    return frozenset() if last is None or is_known or last.result != _CUT else frozenset(last.edge)


def _ended_in(slots: frozenset[str], event: AnyEvent, at: int) -> bool:
    """Whether the engine says that something was done to who has one of these slots; its word may come a bit late."""
    if not isinstance(event, ContainerEvent) or event.role != Role.APP or event.slot not in slots:
        return False
    return event.action in _ENDINGS and -JUST_BEFORE * NS <= event.at - at <= _LATE * NS


def _closed(finding: Finding, slots: frozenset[str]) -> str:
    closed = f"{' and '.join(sorted(slots))} closed the connection without an answer, and nothing had been done there"
    if finding.witness[-1].kind not in _OF_OWN_APPS:
        return closed
    return f"{closed}: an app does so that keeps idle connections for less time than the proxy before it (60 s)"


def _fate(replica: str | None, at: int, events: Sequence[AnyEvent], slots: frozenset[str] = frozenset()) -> str:
    """What had happened to `replica` before `at`; else whatever else had happened just before, in `slots` if any."""
    own, other, store = "", "", ""
    for event in events:
        if event.at > at:
            break
        if slots and isinstance(event, Strike | Step) and event.slot and event.slot not in slots:
            continue  # who had those slots is another
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
        elif isinstance(event, ContainerEvent) and event.role == Role.STORE and is_loss(event) and just_before:
            other = f"the store's container: {event.action} {seconds(ago)} before"
    outside = outside_fate(replica, at, events)
    return own or outside.own or store or other or outside.just_before or outside.meanwhile
