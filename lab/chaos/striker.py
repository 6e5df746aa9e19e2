"""Strikes and heals: each strike is in the record and, if it must be undone, in the state before it is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec

from lab import record
from lab.chaos.faults import FAULTS, Fault, Signal
from lab.chaos.guard import BlastRadius, Capacity, refuse_strike
from lab.chaos.opened import LostZone, OpenFault, OpenFaults
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.cluster.harm import Start, Strikable, Unpause, Victim
from lab.errors import UsageError, WaitTimeout
from lab.model import STORE_ROLES, Role, Value
from lab.record import StrikeSource
from lab.retry import wait_until

PROVED_WITHIN = 5.0
"""Seconds in which the engine must say what was done."""
SURVIVED_AFTER = 3.0
"""Seconds after a strike from which the word that its victim serves is surely a newer one than the strike."""
AT_ONCE = 8
"""Containers of a zone that are struck in the same moment."""


class StrikeResult(Value):
    """What came of one strike."""

    strike: int
    victim: Victim
    hit: bool
    why: str


class StrikerParts(Value):
    """What a striker is told of its cluster."""

    target: Strikable
    opened: OpenFaults
    standing: Callable[[], Capacity]
    """The slots that are to serve and those that do, by whoever knows; open faults are looked up by the striker."""
    evidence: Callable[[Victim], str]
    """What shows that users had it just before; "" if nothing does, and then a strike hits nothing."""
    report: Callable[[record.AnyEvent], None]
    numbers: Iterator[int]
    by: str = ""
    halted: Callable[[], str] = str
    """Who has halted all strikes, or ""."""
    primary: Callable[[], str] = lambda: ""
    """The name of the store that takes writes now."""
    unwell: Callable[[], str] = lambda: ""
    """What is wrong with the stores, "" if they are whole: they come back only after what struck them is undone."""


class Striker:
    """Does faults of the table within a blast radius, proves them, undoes them. May be used from several threads."""

    def __init__(
        self, ground: StrikerParts, radius: BlastRadius, *, steady_first: bool = True, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """`steady_first`: the first strike falls only when nothing else is wrong."""
        self._ground, self.radius, self._clock = ground, radius, clock
        self._steady_first, self._is_frozen = steady_first, False
        self._lock = threading.RLock()
        self._gone: dict[str, int] = {}
        """Containers of replicas that were struck, and when: they do not serve, whatever was last seen of them."""

    def victims(self) -> list[Victim]:
        """Everything that may be struck, as it is now."""
        return self._ground.target.victims()

    def standing(self) -> Capacity:
        """How the cluster stands, with what is open."""
        told, opened = self._ground.standing(), self._ground.opened.read()
        self._forget_survivors(told)
        away = {*self._gone, *(one.victim.container for one in opened.faults)}
        serving = {slot: container for slot, container in told.serving.items() if container not in away}
        now = msgspec.structs.replace(told, serving=serving, lost_zones=opened.lost_zones)
        hurt = {one.victim.role for one in opened.faults if not one.zone}
        return msgspec.structs.replace(now, hurt=tuple(sorted(hurt | ({Role.APP} if now.missing else set()))))

    def _forget_survivors(self, told: Capacity) -> None:
        """Not every signal ends its victim: one that serves long after it runs on, as a server that was reloaded."""
        now, serving = self._clock.now(), set(told.serving.values())
        for container, struck in tuple(self._gone.items()):
            if container in serving and now - struck >= SURVIVED_AFTER * NS:
                seen = self._ground.target.read(container)
                if seen is not None and seen.is_running and not seen.is_paused:
                    self._gone.pop(container, None)

    def refusal(self, victims: Sequence[Victim], *, zone: str = "") -> str:
        """Why these must not be struck now, or ""."""
        if self._is_frozen:
            return "the run was stopped"
        halted = self._ground.halted()
        if halted:
            return f"strikes on this engine are halted by {halted}; lab halt --over lets them go on"
        standing = self.standing()
        if self._steady_first and not standing.is_steady:
            return f"before the first strike everything must be well: {standing.text}"
        refused = refuse_strike(self.radius, standing, victims, zone=zone)
        struck = any(one.role in STORE_ROLES for one in victims)
        return refused or (self._ground.unwell() if struck and self.radius.stores <= 1 else "")

    def primary(self) -> str:
        """The name of the store that takes writes now."""
        return self._ground.primary()

    def stores_are_whole(self) -> bool:
        """Whether every store serves and is in step with the others, and every replica has found it again."""
        return not self.stores_trouble()

    def stores_trouble(self) -> str:
        """Why they are not, for a person; "" where they are."""
        missing = sorted(self.standing().missing)
        return f"{', '.join(missing)} can't serve yet" if missing else self._ground.unwell()

    def freeze(self) -> None:
        """From here on nothing is struck, and nothing that is open is undone."""
        self._is_frozen = True

    def strike(
        self, fault: Fault, victims: Sequence[Victim], *, source: StrikeSource, signal: Signal = "SIGKILL"
    ) -> list[StrikeResult]:
        """Do it to all of them at once. Raises UsageError, and does nothing, beyond the blast radius.

        `source`: from whom it comes, as the record says to whoever repeats the run.
        """
        with self._lock:
            self._refuse(self.refusal(victims))
            return self._strike_all(fault, victims, signal=signal, source=source)

    def undo(self, strikes: Sequence[int]) -> None:
        """Take back what is still open of these."""
        for one in self._ground.opened.read().faults:
            if one.strike in strikes:
                self._undo(one)

    # zones

    def in_zone(self, zone: str) -> list[Victim]:
        """Everything of a zone that runs. Raises UsageError where there never was anything."""
        there = self.victims()
        found = [one for one in there if one.zone == zone]
        if not found:
            known = sorted({one.zone for one in there} - {""})
            raise UsageError("no such zone", at=zone, hint=f"one of: {', '.join(known)}")
        return [one for one in found if one.is_running]

    def lose_zone(self, zone: str, *, cut_off: bool, source: StrikeSource) -> list[StrikeResult]:
        """Every container of a zone at once, and none is made there until it is back."""
        with self._lock:
            victims = self.in_zone(zone)
            self._refuse(self.refusal(victims, zone=zone))
            at = int(self._clock.wall().timestamp() * NS)
            self._ground.opened.lose(LostZone(zone=zone, cut_off=cut_off, since=at))
            self._ground.report(record.ZoneLost(at=self._clock.now(), zone=zone, cut_off=cut_off))
            return self._strike_all(_of_zone(cut_off=cut_off), victims, zone=zone, source=source)

    def hold_zone(self, zone: str, *, cut_off: bool, source: StrikeSource) -> list[StrikeResult]:
        """Strike what came up in a lost zone all the same: it had been made when the zone was lost."""
        with self._lock:
            there = [one for one in self.victims() if one.zone == zone and one.is_running]  # nobody may be left by now
            late = [one for one in there if one.networks or not cut_off]
            return self._strike_all(_of_zone(cut_off=cut_off), late, zone=zone, source=source) if late else []

    def regain_zone(self, zone: str) -> None:
        """The zone is there again: what is not multiplied is started or joined, and deployers may make replicas."""
        with self._lock:
            opened = self._ground.opened.read()
            for one in opened.faults:
                if one.zone == zone:
                    self._undo(one)
            if zone in opened.lost_zones and not self._is_frozen:
                self._ground.opened.regain(zone)
                self._ground.report(record.ZoneBack(at=self._clock.now(), zone=zone))

    # whatever is open

    def heal(self) -> list[str]:
        """Undo everything that is open, whoever left it: by the state, then by what the engine shows. Says what."""
        healed = []
        opened = self._ground.opened.read()
        for one in opened.faults:
            if not one.zone:
                self._undo(one)
                healed.append(f"{one.fault} of {one.victim.name} is undone")
        for zone in opened.lost_zones:
            self.regain_zone(zone)
            healed.append(f"zone {zone} is back")
        for victim in self.victims():
            harm = Unpause() if victim.is_paused else Start()
            needs = victim.is_paused or (not victim.is_running and victim.role not in {Role.APP, Role.DEPLOYER})
            if needs and self._ground.target.do(victim.container, harm):
                healed.append(f"{victim.name} {'goes on' if victim.is_paused else 'is restarted'}")
        return healed

    # one strike

    def _refuse(self, why: str) -> None:
        if why:
            raise UsageError(f"refused: {why}", at="blast radius", hint="wait, lab heal, or a larger radius")

    def _strike_all(
        self,
        fault: Fault,
        victims: Sequence[Victim],
        *,
        signal: Signal = "SIGKILL",
        zone: str = "",
        source: StrikeSource,
    ) -> list[StrikeResult]:
        """Everything is written down before anything is done."""
        self._steady_first = False
        noted = [self._note(fault, one, signal, zone, source) for one in victims]
        since = self._ground.target.mark()
        act = partial(self._act, fault, signal, since)
        if len(noted) == 1:
            return [act(noted[0])]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(act, noted))

    def _note(
        self, fault: Fault, victim: Victim, signal: Signal, zone: str, source: StrikeSource
    ) -> tuple[int, Victim, str]:
        """Into the record and, with how to undo it, into the state."""
        ground, number = self._ground, next(self._ground.numbers)
        fresh = ground.target.read(victim.container) or msgspec.structs.replace(victim, is_running=False)
        serving = len(ground.standing().serving)
        evidence = ground.evidence(fresh)
        ground.report(
            record.Strike(
                at=self._clock.now(),
                strike=number,
                fault=fault.text(signal),
                victim=fresh.name,
                container=fresh.container,
                slot=fresh.slot,
                zone=fresh.zone,
                release=fresh.release,
                serving=serving,
                whole_zone=bool(zone),
                role=fresh.role,
                fault_kind=fault.name,
                lasts=fault.lasts,
                signal=signal if fault.name == "kill" else "",
                off=fault.off,
                source=source,
            )
        )
        undo = fault.undo(fresh)
        if undo and fresh.is_running:
            since = int(self._clock.wall().timestamp() * NS)
            ground.opened.add(
                OpenFault(
                    strike=number, fault=fault.title, victim=fresh, undo=undo, since=since, by=ground.by, zone=zone
                )
            )
        return number, fresh, evidence

    def _act(self, fault: Fault, signal: Signal, since: str, noted: tuple[int, Victim, str]) -> StrikeResult:
        number, victim, evidence = noted
        target = self._ground.target
        was_done = victim.is_running and target.do(victim.container, fault.do(victim, signal))
        if victim.role is Role.APP and was_done:
            self._gone[victim.container] = self._clock.now()
        if not was_done:
            self._forget(number)
        hit, why = False, "it no longer ran" if not victim.is_running else "it was in that state already"
        unproved = self._wait_for_proof(fault, victim, since) if was_done else ""
        if unproved:
            why = unproved
        elif was_done:
            hit, why = bool(evidence), evidence or "it was serving nobody"
        self._ground.report(record.StrikeProved(at=self._clock.now(), strike=number, hit=hit, why=why))
        return StrikeResult(strike=number, victim=victim, hit=hit, why=why)

    def _wait_for_proof(self, fault: Fault, victim: Victim, since: str) -> str:
        """Why it is not proved, or "" once the engine has said the word that proves it."""

        def look() -> str:
            said = self._ground.target.said(victim.container, since)
            return next((word for word in said if word == fault.proof or word in fault.vain), "")

        try:
            word = wait_until("the engine confirms it", look, within=PROVED_WITHIN, every=0.05, clock=self._clock)
        except WaitTimeout:
            return f"the engine never reported {fault.proof!r} of it"
        return fault.vain.get(word, "")

    def _forget(self, number: int) -> None:
        """It was not done, so there is nothing to undo."""
        for one in self._ground.opened.read().faults:
            if one.strike == number:
                self._ground.opened.drop(one)

    def _undo(self, one: OpenFault) -> None:
        if self._is_frozen:
            return
        for harm in one.undo:
            self._ground.target.do(one.victim.container, harm)
        self._ground.opened.drop(one)
        self._gone.pop(one.victim.container, None)
        self._ground.report(
            record.StrikeUndone(at=self._clock.now(), strike=one.strike, fault=one.fault, victim=one.victim.name)
        )


def _of_zone(*, cut_off: bool) -> Fault:
    return FAULTS["cut" if cut_off else "kill"]
