"""What an app that got its own stop signal did to its users, told app by app with its first process."""

from __future__ import annotations

import msgspec
import pytest

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome, Try
from lab.oracle.own_app_blame import own_app_cause
from lab.oracle.service import Service
from lab.oracle.stops import find_cut
from lab.record import AnyEvent, AppStopped, ContainerEvent, Step, Strike


def at(seconds: float) -> int:
    return int(seconds * NS)


def step(seconds: float, action: str, replica: str = "a1-1") -> Step:
    return Step(at=at(seconds), action=action, slot="a1", replica=replica, release="v1", why="upgrade")


def told(seconds: float = 10.0) -> AppStopped:
    return AppStopped(
        at=at(seconds), replica="a1-1", slot="a1", service="web", signal="SIGTERM", grace=3.0, process="sh"
    )


def act(begin: float, end: float, result: str, *, replica: str | None = None, edge: tuple[str, ...] = ()) -> Operation:
    one = Try(begin=at(begin), end=at(end), result=result, replica=replica, edge=edge)
    return Operation(
        id=at(begin),
        is_repeatable=False,
        kind=Kind.ACT,
        user="u1",
        device="u1",
        begin=at(begin),
        end=at(end),
        tries=(one,),
        outcome=Outcome.OK if result == "200" else Outcome.UNKNOWN,
    )


STOP: list[AnyEvent] = [step(9.7, "drain"), told(), step(11, "remove")]


def found(*operations: Operation, events: list[AnyEvent] = STOP) -> list[Finding]:
    service = Service()
    for operation in operations:
        service.feed(operation)
    for event in events:
        service.event(event)
    return [one for one in service.report().findings if one.promise == "clean_stops"]


def test_all_that_one_app_cut_is_one_finding() -> None:
    """With how soon after the signal, its first process, and the requests that prove it."""
    cut = [act(9.9, 10.2, "502", edge=("a1",)), act(9.95, 10.25, "502", edge=("a1",))]
    [one] = found(*cut)
    assert one.why == "web cut 2 requests 0.2 s after SIGTERM (process 1 is sh): a1-1"
    assert one.witness == tuple(cut)


def test_what_the_balancer_made_good_was_cut_all_the_same() -> None:
    """Users saw nothing of it, and the app did not answer."""
    [one] = found(act(9.9, 10.4, "200", replica="b1-2", edge=("a1", "b1")))
    assert one.why.startswith("web cut 1 request 0.4 s after SIGTERM (process 1 is sh): a1-1")
    assert one.why.endswith("; the balancer repeated 1 of them elsewhere")


def test_what_came_later_is_its_successor_s() -> None:
    """The slot is another one's by then; nor is it the app's where it was asked at another slot first."""
    assert not found(act(10.1, 10.4, "200", replica="b1-2", edge=("a1", "b1")))
    assert not found(act(9.9, 10.4, "200", replica="a1-1", edge=("b1", "a1")))


def test_what_is_slow_is_not_cut() -> None:
    """The balancer gave it up after its time: whether the app was told to stop meanwhile says nothing of it."""
    assert not found(act(9.9, 14.0, "504", edge=("a1",)), events=[*STOP[:2], step(14.5, "remove")])
    slow = act(9.9, 14.3, "200", replica="b1-2", edge=("a1", "b1"))
    assert not found(slow, events=[*STOP[:2], step(14.5, "remove")])


def test_a_strike_explains_it() -> None:
    """Whatever the app did then."""
    struck = Strike(
        at=at(9.8),
        strike=1,
        fault="SIGKILL",
        victim="a1-1",
        container="c",
        slot="a1",
        zone="a",
        release="v1",
        serving=2,
    )
    assert not found(act(9.9, 10.2, "502", edge=("a1",)), events=[struck, *STOP])


def test_an_app_that_has_to_be_killed_is_found_though_nobody_was_cut() -> None:
    """And whether its gate was empty by then tells a signal that was not heard from answers that took too long."""
    killed: list[AnyEvent] = [step(9.7, "drain"), told(), step(13, "stop"), step(13.2, "remove")]
    [slow] = found(events=killed)
    assert slow.why == "web took its whole 3 s and was killed: requests were still in it (process 1 is sh): a1-1"
    gate = ContainerEvent(at=at(10.5), action="die", container="g", name="a1-1", role="gate", slot="a1")
    [deaf] = found(events=[*killed, gate])
    assert deaf.why == "web took its whole 3 s and was killed: SIGTERM ignored (process 1 is sh): a1-1"
    assert not found(events=[one for one in killed if not isinstance(one, AppStopped)]), "it drains by itself"
    app = ContainerEvent(at=at(12.9), action="die", container="c", name="a1-1", role="app", slot="a1")
    assert not found(events=[*killed, app]), "it had ended just before"
    ended = msgspec.structs.replace(app, at=at(13.05))
    again: list[AnyEvent] = [*killed[:3], ended, step(13.1, "stop"), killed[3]]
    assert len(found(events=again)) == 1, "killed once more before anybody saw that it was"


def test_an_app_that_ends_in_time_is_clean() -> None:
    """What was answered while it stopped, and what ended before."""
    assert not find_cut([], STOP, [])
    assert not found(act(9.9, 10.4, "200", replica="a1-1", edge=("a1",)))


def test_a_command_that_failed_to_prepare_a_stop_is_told() -> None:
    """Nobody was cut, and the app was not stopped as its owner wants it to be."""
    failed = msgspec.structs.replace(told(), hook="pre_stop `./flush` ended with 3")
    [one] = found(events=[step(9.7, "drain"), failed, step(11, "remove")])
    assert one.why == "web was not prepared for its stop: pre_stop `./flush` ended with 3: a1-1"


@pytest.mark.parametrize(
    ("process", "cause"), [("sh", "which passes no SIGTERM on to the app"), ("python3", "has no handler for SIGTERM")]
)
def test_why_a_signal_was_not_heard(process: str, cause: str) -> None:
    """A shell passes none on, and process 1 gets none that it has no handler for; where users were cut, neither."""
    signal = msgspec.structs.replace(told(), process=process)
    gate = ContainerEvent(at=at(10.5), action="die", container="g", name="a1-1", role="gate", slot="a1")
    killed: list[AnyEvent] = [step(9.7, "drain"), signal, gate, step(13, "stop"), step(13.2, "remove")]
    [deaf] = found(events=killed)
    assert cause in own_app_cause([deaf], killed, [])
    [slow] = found(events=[one for one in killed if one is not gate])
    assert own_app_cause([deaf, slow], killed, []) == ""
