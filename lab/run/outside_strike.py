"""A strike on somebody else's deployment, where its owner opted in: the lab kills and looks; they bring back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from lab import record
from lab.clock import NS, Clock
from lab.cluster.harm import Victim
from lab.errors import LabFault
from lab.record import StrikeSource
from lab.scenario.strike_spec import StrikeSpec

DIES_WITHIN = 5 * NS
"""Nanoseconds in which a victim must be gone for the strike to count."""
BACK_WITHIN = 60 * NS
"""Nanoseconds for which the lab looks whether as many run as before."""


class Opted(Protocol):
    """Those whose owner lets them be struck."""

    def victims(self) -> Sequence[Victim]:
        """Those of them that run. Raises LabError where nobody can say."""
        ...

    def kill(self, victim: Victim, signal: str) -> None:
        """Send it a signal. Raises LabError."""
        ...


class OutsideStrikeStep:
    """Over when as many run as before, or when BACK_WITHIN has passed; how long that took is told either way.

    Raises LabFault where nobody may be struck.
    """

    def __init__(
        self,
        spec: StrikeSpec,
        opted: Opted,
        report: Callable[[record.AnyEvent], None],
        random: Random,
        clock: Clock,
        *,
        number: int,
    ) -> None:
        self._spec, self._opted, self._report = spec, opted, report
        self._random, self._clock, self._number = random, clock, number
        self._struck: Victim | None = None
        self._before = self._at = self._due = 0
        self._is_proved = self._is_told = False

    @property
    def text(self) -> str:
        return f"{self._spec.signal} to one of those that may be struck"

    @property
    def pending(self) -> str:
        return "as many to run as before the strike"

    def begin(self) -> None:
        self._due = self._clock.now() + int(self._spec.after * NS)

    def is_over(self) -> bool:
        now = self._clock.now()
        if self._is_told:
            return True
        if self._struck is None:
            if now >= self._due:
                self._strike(now)
            return False
        running = self._opted.victims()
        is_gone = self._struck.container not in {one.container for one in running}
        if not self._is_proved and (is_gone or now - self._at > DIES_WITHIN):
            self._is_proved = True
            why = "" if is_gone else "it still runs"
            self._report(record.StrikeProved(at=now, strike=self._number, hit=is_gone, why=why))
        is_back = self._is_proved and len(running) >= self._before
        if is_back:
            self._is_told = True
            fault = f"{self._spec.signal}, {(now - self._at) / NS:.1f} s until as many ran as before,"
            self._report(record.StrikeUndone(at=now, strike=self._number, fault=fault, victim=self._struck.name))
        return is_back or (self._is_proved and now - self._at > BACK_WITHIN)

    def end(self) -> None:
        """Bringing back is its owner's platform's business."""

    def _strike(self, now: int) -> None:
        there = sorted(self._opted.victims(), key=lambda one: one.name)
        if not there:
            what = "nobody may be struck: no container that runs carries lab.may-be-struck=true"
            raise LabFault(what, at="strike", hint='labels: {lab.may-be-struck: "true"}')
        victim = self._random.choice(there)
        self._before, self._at = len(there), now
        self._report(
            record.Strike(
                at=now,
                strike=self._number,
                fault=self._spec.signal,
                victim=victim.name,
                container=victim.container,
                slot="",
                zone="",
                release=victim.release,
                serving=len(there),
                role=victim.role,
                fault_kind="kill",
                signal=self._spec.signal,
                source=StrikeSource.STEP,
            )
        )
        self._struck = victim
        self._opted.kill(victim, self._spec.signal)
