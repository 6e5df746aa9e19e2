"""Watches the load and says how many replicas are wanted; making it so is the deployer's business."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from lab import record
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.model import Slot, Value
from lab.scale.policy import ScaleSettings, choose_slots, decide_scale

SMOOTHED = 0.5
"""The weight of the newest look in what is taken for the load."""


class Load(Value):
    """One look at the balancer."""

    requests: int
    """Answered so far; counts up."""
    in_flight: int


class Autoscaler:
    """One thread. It knows neither engine nor deployer: it reads a load and writes which slots are wanted."""

    EVERY = 1.0
    """Seconds between two looks."""

    def __init__(
        self,
        settings: ScaleSettings,
        slots: tuple[Slot, ...],
        load: Callable[[], Load | None],
        active: Callable[[], tuple[str, ...]],
        scale_to: Callable[[tuple[str, ...]], None],
        report: Callable[[record.AnyEvent], None],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._settings, self._slots = settings, slots
        self._load, self._active, self._scale_to = load, active, scale_to
        self._report, self._clock = report, clock
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="autoscaler", daemon=True)
        self._last: tuple[int, Load] | None = None
        self._smooth: float | None = None
        self._changed_at: int | None = None
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()

    def check(self) -> None:
        """Raise what ended the thread, if anything did."""
        if self.error is not None:
            raise self.error

    def look(self) -> None:
        """One look, and what follows from it. A balancer that doesn't answer says nothing about the load."""
        load, now = self._load(), self._clock.now()
        if load is None:
            self._last = None
            return
        measured = self._measure(load, now)
        self._last = (now, load)
        if measured is None:
            return
        before = measured if self._smooth is None else self._smooth
        self._smooth = SMOOTHED * measured + (1 - SMOOTHED) * before
        active = self._active()
        wanted = decide_scale(self._smooth, len(active), self._settings, now=now, changed_at=self._changed_at)
        if wanted != len(active):
            self._changed_at = now
            why = f"{self._smooth:.0f} {self._settings.measure}, {self._settings.target:g} each are wanted"
            self._report(record.Scaled(at=now, before=len(active), to=wanted, why=why))
            self._scale_to(choose_slots(self._slots, active, wanted, self._settings.zones))

    def _measure(self, load: Load, now: int) -> float | None:
        if self._settings.measure == "in flight":
            return float(load.in_flight)
        if self._last is None or load.requests < self._last[1].requests:
            return None  # the first look, or a balancer that was started again
        seconds = (now - self._last[0]) / NS
        return (load.requests - self._last[1].requests) / seconds if seconds > 0 else None

    def _run(self) -> None:
        try:
            while not self._ending.wait(self.EVERY):
                self.look()
        except BaseException as exc:  # noqa: BLE001 -- it goes into the record and to whoever asks `check`
            self.error = exc
            self._report(record.Trouble(at=self._clock.now(), what=f"the autoscaler stopped: {exc}"))
