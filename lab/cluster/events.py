"""What the engine says happens to a cluster's containers, as it happens, in the record's words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from types import TracebackType
from typing import Any, Self

from lab import record
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.cluster.start_again import start_again
from lab.errors import EngineAway, LabError
from lab.machine import labels
from lab.machine.engine import engine_errors, try_connect

# The health checks' own comings and goings would drown the rest.
_NOISE = ("exec_", "health_status", "attach", "top", "resize")


Translate = Callable[[Mapping[str, Any], int], record.AnyEvent | None]
"""What an engine's event is in the record, given the lab's own time of it; None where it is of no interest."""
ENGINE_BACK_WITHIN = 60.0
"""Seconds for which an engine that went away is waited for: a restart takes a few, more where much ran on it."""
ENGINE_ASKED_EVERY = 0.5


class EngineWatch:
    """Reports each container event of one project from a thread of its own, until it is closed.

    The project is the lab's own; or, with `label` and `translate`, whatever carries that label with this value.

    A stream that ends is taken up again from where it stopped. An engine that was restarted is waited for, and what
    nobody else looks after is started there again; one that does not come back is Trouble.
    """

    def __init__(
        self,
        project: str,
        report: Callable[[record.AnyEvent], None],
        *,
        label: str = labels.PROJECT,
        translate: Translate | None = None,
        address: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`address`: where that engine answers, if it is not this user's."""
        self._project, self._report, self._clock, self._address = project, report, clock, address
        self._label, self._translate = label, translate or container_event
        self._ending = threading.Event()
        self._stream: Any = None
        self._last = 0
        """The engine's nanoseconds of the latest event, and what it said of which container just then."""
        self._at_last: set[tuple[str, str]] = set()
        self._thread = threading.Thread(target=self._run, name="engine-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if self._stream is not None:
            with suppress(OSError):  # it ended by itself
                self._stream.close()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._follow()
            except EngineAway as exc:
                if not self._is_back():
                    self._tell_end(exc)
                    return
            except LabError as exc:
                self._tell_end(exc)
                return

    def _tell_end(self, exc: LabError) -> None:
        if not self._ending.is_set():
            self._report(record.Trouble(at=self._clock.now(), what=f"the engine's events ended: {exc}"))

    def _is_back(self) -> bool:
        """Wait for the engine; False where this watch ends before, or it does not come back in time."""
        gone = self._clock.wall()
        if self._ending.is_set():
            return False
        self._report(record.EngineGone(at=self._clock.now()))
        for _ in range(int(ENGINE_BACK_WITHIN / ENGINE_ASKED_EVERY)):
            client = try_connect(self._address, timeout=10)
            if client is not None:
                with closing(client):
                    started = start_again(client, self._project, since=gone)
                self._report(record.EngineBack(at=self._clock.now(), started=tuple(started)))
                return True
            if self._ending.wait(ENGINE_ASKED_EVERY):
                return False
        return False

    def _follow(self) -> None:
        with engine_errors("follow the engine's events", at=self._project):
            # A client of its own: the stream holds its connection for as long as it is read.
            client = try_connect(self._address, timeout=3600)
            if client is None:
                raise ConnectionError("no answer")
            try:
                self._stream = client.events(
                    since=self._since(),
                    decode=True,
                    filters={"type": "container", "label": f"{self._label}={self._project}"},
                )
                if self._ending.is_set():  # nobody else may have seen the stream in time to close it
                    self._stream.close()
                    return
                for said in self._stream:
                    event = self._translate(said, self._clock.now()) if self._is_new(said) else None
                    if event is not None:
                        self._report(event)
            finally:
                client.close()

    def _since(self) -> Any:
        """From where a stream is taken up again: seconds with nine places, as the engine takes them."""
        return f"{self._last // NS}.{self._last % NS:09d}" if self._last else None

    def _is_new(self, said: Mapping[str, Any]) -> bool:
        """Whether it was not told yet: a stream that is taken up again begins with the instant at which it ended."""
        at, what = int(said["timeNano"]), (str(said["Actor"]["ID"]), str(said.get("Action", "")))
        if at == self._last and what in self._at_last:
            return False
        if at > self._last:
            self._last, self._at_last = at, set()
        if at == self._last:
            self._at_last.add(what)
        return True


def container_event(said: Mapping[str, Any], at: int) -> record.ContainerEvent | None:
    """What the engine says of one of the lab's own containers."""
    action = str(said.get("Action", ""))
    if action.startswith(_NOISE):
        return None
    told = said["Actor"]["Attributes"]
    return record.ContainerEvent(
        at=at,
        action=action,
        container=said["Actor"]["ID"],
        name=told.get(labels.REPLICA) or told.get("name", ""),
        role=told.get(labels.ROLE, ""),
        slot=told.get(labels.SLOT, ""),
        zone=told.get(labels.ZONE, ""),
        release=told.get(labels.RELEASE, ""),
        exit_code=int(told["exitCode"]) if "exitCode" in told else None,
        signal=int(told["signal"]) if told.get("signal", "").isdigit() else None,
        engine_ns=int(said.get("timeNano", 0)),
    )
