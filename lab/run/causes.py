"""What explains a run's findings, by its record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lab.model import Finding, Operation
from lab.oracle.between import changed_between
from lab.oracle.blame import blame
from lab.oracle.overwritten import overwritten
from lab.oracle.own_app_blame import own_app_cause
from lab.oracle.patterns import likely_store
from lab.oracle.session_ends import session_ends
from lab.oracle.verdict import Judgement
from lab.oracle.went_well import what_went_well
from lab.oracle.writes_alone import writes_alone
from lab.record import AnyEvent, ReadRecord, RolloutMoved
from lab.scenario.spec import Scenario


def with_causes(
    scenario: Scenario, judgement: Judgement, events: Sequence[AnyEvent], seen: ReadRecord, *, is_whole: bool
) -> tuple[tuple[Finding, ...], str]:
    """The findings with what explains each, and what explains them all, if anything is known to."""
    new = {event.to for event in events if isinstance(event, RolloutMoved)}
    between = changed_between(judgement.findings, seen.history(), new) if new and is_whole else None
    well = None
    if is_whole and judgement.findings and not scenario.users.are_of_own_app:
        well = what_went_well(seen.history(), events, judgement.findings)
    findings, likely = blame(judgement.findings, events, between, judgement.evidence.occasions, well)
    likely = likely if scenario.target is None else ""  # a pattern says which replicas are gone: nobody knows here
    return findings, (is_whole and _cause_in_all(scenario, findings, events, seen)) or likely


def _cause_in_all(scenario: Scenario, findings: Sequence[Finding], events: Sequence[AnyEvent], seen: ReadRecord) -> str:
    """The cause that all which users did shows, and the proofs alone do not."""
    if _knows_replicas(scenario) and (refused := writes_alone(findings, seen.history())):
        return refused
    if not scenario.users.are_of_own_app:
        return overwritten(findings, seen.history()) or shown_by_all(findings, seen.history(), events)
    if not _knows_replicas(scenario):
        return ""
    cause = own_app_cause(findings, events, seen.history())
    return cause or session_ends(findings, seen.history(), events, are_as_old=True)


def shown_by_all(findings: Sequence[Finding], history: Iterable[Operation], events: Sequence[AnyEvent]) -> str:
    """What ended the shop's sessions, or "". A store that was struck, and came back without what it had, takes those
    of any age with it."""
    return likely_store(findings, events) or session_ends(findings, history, events)


def _knows_replicas(scenario: Scenario) -> bool:
    """Whether answers say which replica gave them."""
    return scenario.target is None or scenario.target.replica is not None
