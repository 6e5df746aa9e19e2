"""Makes records: a few replicas that live and die, and users who act."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from lab.clock import NS
from lab.model import Kind, Operation, Outcome, Try
from lab.record import (
    AnyEvent,
    ContainerEvent,
    PhaseBegan,
    Serving,
    Step,
    Strike,
    StrikeProved,
    StrikeUndone,
    ZoneBack,
    ZoneLost,
)
from lab.report.merge import Item

MS = NS // 1000
REPLICAS = ("a1-1", "b1-2", "a1-3")
times = st.integers(0, 6_000).map(lambda ms: 5 * NS + ms * MS)


def step(at: int, action: str, replica: str, release: str = "v1", why: str = "upgrade") -> Step:
    return Step(at=at, action=action, slot=replica[:2], replica=replica, release=release, why=why)


def engine(at: int, action: str, replica: str, release: str = "v1") -> ContainerEvent:
    return ContainerEvent(
        at=at, action=action, container=f"id of {replica}", name=replica, role="app", slot=replica[:2], release=release
    )


def strike(at: int, replica: str, number: int = 1, fault: str = "SIGKILL") -> Strike:
    return Strike(
        at=at,
        strike=number,
        fault=fault,
        victim=replica,
        container=f"id of {replica}",
        slot=replica[:2],
        zone=replica[0],
        release="v1",
        serving=2,
    )


def read(end: int, number: int = 0, user: int = 1, **changes: object) -> Operation:
    """A read of an empty cart that took 20 ms."""
    given: dict[str, object] = {
        "id": number,
        "user": f"user-{user:03d}",
        "device": f"user-{user:03d}.1",
        "kind": Kind.CART,
        "begin": end - 20 * MS,
        "end": end,
        "outcome": Outcome.OK,
        "tries": (Try(begin=end - 20 * MS, end=end, result="200", replica="a1-1", release="v1", edge=("a1",)),),
        "answer": {},
        "session": f"user-{user:03d}/1#1",
        "answered_as": f"user-{user:03d}",
        "quiet": True,
    }
    return Operation(**{**given, **changes})  # type: ignore[arg-type]


_replicas = st.sampled_from(REPLICAS)
_releases = st.sampled_from(("v1", "v2"))
events: st.SearchStrategy[AnyEvent] = st.one_of(
    st.builds(step, times, st.sampled_from(("create", "start", "ready", "enter", "drain", "remove")), _replicas),
    st.builds(engine, times, st.sampled_from(("create", "die", "pause", "unpause", "destroy", "oom")), _replicas),
    st.builds(strike, times, _replicas, st.integers(1, 3), st.sampled_from(("SIGKILL", "freeze", "cut"))),
    st.builds(StrikeUndone, at=times, strike=st.integers(1, 3), fault=st.just("cut"), victim=_replicas),
    st.builds(ZoneLost, at=times, zone=st.just("b"), cut_off=st.booleans()),
    st.builds(ZoneBack, at=times, zone=st.just("b")),
    st.builds(StrikeProved, at=times, strike=st.integers(1, 3), hit=st.booleans()),
    st.builds(Serving, at=times, by_release=st.just({"v1": 2}), total=st.integers(0, 3)),
    st.builds(PhaseBegan, at=times, name=st.sampled_from(("settle", "clean up", "down")), text=st.text(max_size=20)),
)


@st.composite
def _operations(draw: st.DrawFn) -> Operation:
    end, release = draw(times), draw(_releases)
    tries = tuple(
        Try(begin=end - 9 * MS, end=end, result=result, replica="a1-1", release=release, edge=("a1",) * draw(hops))
        for result in draw(st.sampled_from((("200",), ("cut", "200"), ("timeout", "timeout", "503"))))
    )
    outcome = Outcome.OK if tries[-1].result == "200" else Outcome.UNKNOWN
    answer = draw(st.sampled_from(({}, {"lost line": 1}))) if outcome is Outcome.OK else None
    return read(end, end, draw(st.integers(1, 4)), tries=tries, outcome=outcome, answer=answer)


hops = st.integers(1, 2)
operations = _operations()
records: st.SearchStrategy[tuple[list[AnyEvent], list[Operation]]] = st.tuples(
    st.lists(events, max_size=25).map(lambda found: sorted(found, key=lambda one: one.at)),
    st.lists(operations, max_size=25).map(lambda found: sorted(found, key=lambda one: one.end)),
)


def in_time(items: Sequence[Item]) -> list[Item]:
    """As one merged record."""
    return sorted(items, key=lambda one: (one.end, True) if isinstance(one, Operation) else (one.at, False))
