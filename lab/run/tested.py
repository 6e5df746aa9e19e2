"""What a run of somebody's own app put to the test, part by part, and what it did not: what the lab replaces, it can't
test, and what it can't test, it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lab.clock import NS
from lab.cluster.own_app import ServiceRole
from lab.cluster.protocol import StopWay
from lab.model import Role
from lab.oracle.promises import STATE_KEPT
from lab.oracle.verdict import Evidence, PartTested
from lab.record import AnyEvent, AppStopped, CommandEnded, IdleClosed, Step, Strike
from lab.scenario.spec import Scenario, rolls_of


def parts_tested(scenario: Scenario, evidence: Evidence, events: Sequence[AnyEvent]) -> tuple[PartTested, ...]:
    """One for each part that a team would ask about; none of the lab's own shop, and of a target none is known."""
    if scenario.cluster.compose is None or not scenario.users.are_of_own_app:
        return ()
    return tuple(_parts(scenario, evidence, events))


def _parts(scenario: Scenario, evidence: Evidence, events: Sequence[AnyEvent]) -> Iterator[PartTested]:
    reads = evidence.checks.get(STATE_KEPT, 0)
    yield _part(
        "state",
        f"{reads} reads of what had changed, through another replica" if reads else "",
        evidence.why_nothing or "no change was read back through another replica",
    )
    yield _drain(scenario, evidence, events)
    yield _kept(scenario, events)
    front = scenario.cluster.front
    instead = "the lab's balancer stood in its place"
    if front is not None:
        instead = f"users came through {front.service}, which saw one address: how it learns of replicas is not tested"
    yield _part("proxy", "", instead)
    yield _store(scenario, events)
    yield _migrations(scenario, events)
    yield _workers(scenario, events)
    shown = evidence.occasions.get("ended_sessions", 0)
    yield _part(
        "logout",
        f"sessions that their users had ended were shown again and turned away, {shown} times" if shown else "",
        evidence.why_no_logout
        or "no session that its user had ended was turned away: users log out where their journey has log_out",
    )
    yield _part("long-lived connections", "", "users make requests alone, no WebSocket and no event stream")


def _part(name: str, how: str, why_not: str) -> PartTested:
    return PartTested(part=name, is_tested=bool(how), how=how or why_not)


def _drain(scenario: Scenario, evidence: Evidence, events: Iterable[AnyEvent]) -> PartTested:
    if scenario.cluster.stop is StopWay.AFTER_ANSWERS:
        return _part("drain", "", "the app was told only when all was answered (cluster.stop: after_answers)")
    stops, busy = sum(isinstance(event, AppStopped) for event in events), evidence.occasions.get("busy_stops", 0)
    how = f"{stops} planned stops by the app's own signal, {busy} with requests under way" if stops and busy else ""
    idle = f"no request was under way at any of {stops} stops: all were answered before the signal came"
    return _part("drain", how, idle if stops else "nothing was stopped")


def _kept(scenario: Scenario, events: Sequence[AnyEvent]) -> PartTested:
    """Whether the app keeps connections as long as what stands before it: a request may meet one that it closes, so
    rarely that no run would show it."""
    if not scenario.cluster.keep_alive:
        return _part("kept connections", "", "each request had a connection of its own (cluster.keep_alive: false)")
    closed = [event.after for event in events if isinstance(event, IdleClosed)]
    if not closed:
        lasted = (events[-1].at - events[0].at) / NS if events else 0.0
        return _part("kept connections", f"the app closed none that was idle, in {lasted:.0f} s", "")
    return _part(
        "kept connections",
        "",
        f"{scenario.cluster.service} closes idle ones itself after {min(closed):.1f} s, and whoever keeps them longer,"
        " as here (60 s), now and then sends a request on one that is being closed: let the app keep them longer than"
        " the proxy before it",
    )


def _store(scenario: Scenario, events: Iterable[AnyEvent]) -> PartTested:
    stores = [name for name, role in scenario.cluster.services.items() if role is ServiceRole.STORE]
    strikes = [event for event in events if isinstance(event, Strike) and event.role == Role.STORE]
    bound = scenario.promises.loses_at_most
    judged = "what it lost is told by what users read" if bound is None else f"it may lose {bound:g} s"
    if not stores:
        return _part("store", "", "no service of cluster.services is a store")
    return _part("store", f"struck {len(strikes)} times; {judged}" if strikes else "", f"{', '.join(stores)} ran on")


def _migrations(scenario: Scenario, events: Iterable[AnyEvent]) -> PartTested:
    before = [roll.before.text for roll in rolls_of(scenario.steps) if roll.before is not None]
    ended = [event for event in events if isinstance(event, CommandEnded)]
    if not before or not ended:
        return _part("migrations", "", "no roll has a `before`")
    failed = " and failed" if any(event.has_failed for event in ended) else ""
    return _part("migrations", f"{', '.join(before)} was run before the new release{failed}", "")


def _workers(scenario: Scenario, events: Sequence[AnyEvent]) -> PartTested:
    workers = [name for name, role in scenario.cluster.services.items() if role is ServiceRole.WORKER]
    along = {event.replica for event in events if isinstance(event, Step) and event.action == "recreate"}
    strikes = sum(isinstance(event, Strike) and event.role == Role.WORKER for event in events)
    told = [f"{', '.join(sorted(along))} upgraded along"] if along else []
    told += [f"struck {strikes} times"] if strikes else []
    if not workers:
        return _part("workers", "", "no service of cluster.services is a worker")
    return _part("workers", ", ".join(told), f"{', '.join(workers)} stayed as it was")
