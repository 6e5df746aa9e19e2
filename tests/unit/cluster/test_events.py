"""What the engine says, told once, by a thread that ends when its output is closed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import record
from lab.cluster import events
from lab.cluster.events import EngineWatch
from lab.retry import wait_until


class Stream:
    """Says what it has, then ends; or, if it lasts, waits until it is closed."""

    def __init__(self, *said: dict[str, Any], lasts: bool = False) -> None:
        self._said, self._lasts, self._closed = said, lasts, threading.Event()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from self._said
        if self._lasts:
            self._closed.wait(20)

    def close(self) -> None:
        self._closed.set()


class Client:
    def __init__(self, streams: Iterator[Stream]) -> None:
        self._streams = streams
        self.since: list[str | None] = []

    def events(self, *, since: str | None, **_: object) -> Stream:
        self.since.append(since)
        return next(self._streams)

    def close(self) -> None:
        pass


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Client]:
    """An engine that gives these streams, one after another."""

    def to(*streams: Stream) -> Client:
        client = Client(iter(streams))
        monkeypatch.setattr(events, "try_connect", lambda *_, **__: client)
        return client

    return to


def event(action: str, nanoseconds: int) -> dict[str, Any]:
    return {
        "timeNano": nanoseconds,
        "Action": action,
        "Actor": {"ID": "c", "Attributes": {"name": "c"}},
    }


def test_a_stream_that_is_taken_up_again_tells_nothing_twice(connect: Callable[..., Client]) -> None:
    """The engine begins with the instant that it is asked for, in which something else may have happened too."""
    kill, die, start = event("kill", 10**9 + 7), event("die", 10**9 + 7), event("start", 2 * 10**9)
    client = connect(Stream(kill), Stream(kill, die), Stream(kill, die, start, lasts=True))
    told: list[record.AnyEvent] = []
    with EngineWatch("lab-x", told.append):
        wait_until("all is told", lambda: len(told) >= 3, within=5, every=0.01)
    assert [one.action for one in told if isinstance(one, record.ContainerEvent)] == ["kill", "die", "start"]
    assert len(told) == 3
    assert client.since == [None, "1.000000007", "1.000000007"]


def test_an_engine_that_is_restarted_is_waited_for(
    connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told once that it is gone and once that it is back, with what was started again; then things go on."""
    client = connect(Stream(event("start", 10**9)), Stream(event("die", 2 * 10**9), lasts=True))
    answers = iter([client, None, None, client])
    monkeypatch.setattr(events, "try_connect", lambda *_, **__: next(answers, client))
    monkeypatch.setattr(events, "ENGINE_ASKED_EVERY", 0.01)
    monkeypatch.setattr(events, "start_again", lambda *_, **__: ["x-store-1"])
    told: list[record.AnyEvent] = []
    with EngineWatch("lab-x", told.append):
        wait_until("all is told", lambda: len(told) >= 4, within=5, every=0.01)
    assert [type(one).__name__ for one in told] == ["ContainerEvent", "EngineGone", "EngineBack", "ContainerEvent"]
    assert isinstance(told[2], record.EngineBack)
    assert told[2].started == ("x-store-1",)


def test_an_engine_that_stays_away_is_trouble(connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch) -> None:
    """The run can't tell then."""
    client = connect(Stream())
    answers = iter([client])
    monkeypatch.setattr(events, "try_connect", lambda *_, **__: next(answers, None))
    monkeypatch.setattr(events, "ENGINE_ASKED_EVERY", 0.01)
    monkeypatch.setattr(events, "ENGINE_BACK_WITHIN", 0.05)
    told: list[record.AnyEvent] = []
    with EngineWatch("lab-x", told.append):
        wait_until("all is told", lambda: len(told) >= 2, within=5, every=0.01)
    assert [type(one).__name__ for one in told] == ["EngineGone", "Trouble"]


def test_who_leaves_while_it_connects_waits_no_longer_than_that(
    connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stream is closed by whoever sees it first; no thread is left."""
    stream, is_left = Stream(lasts=True), threading.Event()
    client = connect(stream)

    def slowly(*_: object, **__: object) -> Client:
        assert is_left.wait(10)
        return client

    monkeypatch.setattr(events, "try_connect", slowly)
    watch = EngineWatch("lab-x", lambda _: None)
    monkeypatch.setattr(watch, "_ending", Told(is_left))
    with watch:
        pass
    assert not watch._thread.is_alive()


class Told(threading.Event):
    """An end that somebody else is told of at once."""

    def __init__(self, also: threading.Event) -> None:
        super().__init__()
        self._also = also

    def set(self) -> None:
        super().set()
        self._also.set()
