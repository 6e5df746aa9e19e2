"""What the engine says happens to a cluster's containers, as it happens, in the record's words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from lab import record
from lab.clock import SYSTEM_CLOCK, Clock
from lab.cluster import labels
from lab.cluster.engine import engine_errors, try_connect
from lab.errors import LabError

# The health checks' own comings and goings would drown the rest.
_NOISE = ("exec_", "health_status", "attach", "top", "resize")


class EngineWatch:
    """Reports each container event of one project from a thread of its own, until it is closed.

    A stream that ends is taken up again from where it stopped; an engine that does not come back is Trouble.
    """

    def __init__(
        self,
        project: str,
        report: Callable[[record.AnyEvent], None],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._project, self._report, self._clock = project, report, clock
        self._ending = threading.Event()
        self._stream: Any = None
        self._thread = threading.Thread(target=self._run, name="engine-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if self._stream is not None:
            self._stream.close()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        since: int | None = None
        while not self._ending.is_set():
            try:
                since = self._follow(since)
            except LabError as exc:
                if not self._ending.is_set():
                    self._report(record.Trouble(at=self._clock.now(), what=f"the engine's events ended: {exc}"))
                return

    def _follow(self, since: int | None) -> int | None:
        with engine_errors("follow the engine's events", at=self._project):
            # A client of its own: the stream holds its connection for as long as it is read.
            client = try_connect(timeout=3600)
            if client is None:
                raise OSError("the engine no longer answers")
            try:
                self._stream = client.events(
                    since=since,
                    decode=True,
                    filters={"type": "container", "label": f"{labels.PROJECT}={self._project}"},
                )
                for said in self._stream:
                    since = int(said["time"])
                    event = self._translate(said)
                    if event is not None:
                        self._report(event)
            finally:
                client.close()
        return since

    def _translate(self, said: dict[str, Any]) -> record.ContainerEvent | None:
        action = str(said.get("Action", ""))
        if action.startswith(_NOISE):
            return None
        told = said["Actor"]["Attributes"]
        return record.ContainerEvent(
            at=self._clock.now(),
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
