"""Kills replicas that serve, at the times and within the bounds that its settings state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from random import Random
from types import TracebackType
from typing import Self

from lab import record
from lab.chaos.schedule import MonkeySettings, draw_gaps
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.cluster.protocol import Cluster
from lab.model import Replica

SERVED_JUST_NOW = 2.0
"""Seconds before a strike in which its victim must have answered somebody for the strike to count as a hit."""


def choose_victim(answering: Sequence[Replica], slots: int, settings: MonkeySettings, random: Random) -> Replica | None:
    """One of the replicas that users got answers from just now, or None while a strike would be too much.

    The blast radius is one replica at a time, and the next strike falls only when every slot answers users again:
    a slot that serves but that the balancer still avoids would leave the users one replica fewer than it seems.
    """
    if len(answering) < slots or len(answering) - 1 < settings.least_serving:
        return None
    return random.choice(sorted(answering, key=lambda one: one.slot))


class Monkey:
    """One thread that strikes. Each strike is in the record before it is done, and proved afterwards by the
    engine's own word and by the answers that the victim had given."""

    LOOK_EVERY = 0.05

    def __init__(
        self,
        cluster: Cluster,
        serving: Callable[[], list[Replica]],
        answered_since: Callable[[str, int], int],
        settings: MonkeySettings,
        random: Random,
        report: Callable[[record.AnyEvent], None],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._cluster, self._serving, self._answered_since = cluster, serving, answered_since
        self._settings, self._random = settings, random
        self._report, self._clock = report, clock
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monkey", daemon=True)
        self._gaps = draw_gaps(settings, random)
        self.strikes = 0
        self.hits = 0
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()

    @property
    def is_done(self) -> bool:
        """Whether all strikes have been made. Raises what ended the thread, if anything did."""
        if self.error is not None:
            raise self.error
        return self.strikes >= len(self._gaps)

    def _run(self) -> None:
        try:
            for gap in self._gaps:
                if self._ending.wait(gap):
                    return
                victim = self._wait_for_victim()
                if victim is None:
                    return
                self._strike(victim)
        except BaseException as exc:  # noqa: BLE001 -- it goes into the record and to whoever asks `is_done`
            self.error = exc
            if not self._ending.is_set():
                self._report(record.Trouble(at=self._clock.now(), what=f"the monkey stopped: {exc}"))

    def _wait_for_victim(self) -> Replica | None:
        while not self._ending.is_set():
            since = self._clock.now() - int(SERVED_JUST_NOW * NS)
            answering = [one for one in self._serving() if self._answered_since(one.name, since)]
            victim = choose_victim(answering, len(self._cluster.slots), self._settings, self._random)
            if victim is not None:
                return victim
            self._ending.wait(self.LOOK_EVERY)
        return None

    def _strike(self, victim: Replica) -> None:
        self.strikes += 1
        now = self._clock.now()
        self._report(
            record.Strike(
                at=now,
                strike=self.strikes,
                fault=self._settings.signal,
                victim=victim.name,
                container=victim.container,
                slot=victim.slot,
                zone=victim.zone,
                release=victim.release,
                serving=len(self._serving()),
            )
        )
        answered = self._answered_since(victim.name, now - int(SERVED_JUST_NOW * NS))
        was_running = self._cluster.signal(victim, self._settings.signal)
        hit = was_running and answered > 0
        self.hits += hit
        why = f"it had answered {answered} requests in the {SERVED_JUST_NOW:.0f} s before"
        if not was_running:
            why = "it no longer ran"
        self._report(record.StrikeProved(at=self._clock.now(), strike=self.strikes, hit=hit, why=why))
