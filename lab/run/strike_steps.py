"""The steps that break something on purpose, one fault of the table or a whole zone, and make it good again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from lab.chaos.faults import Fault, cut_from, find_fault
from lab.chaos.striker import Striker
from lab.clock import NS, Clock
from lab.cluster.harm import Victim
from lab.errors import LabFault, UsageError
from lab.model import STORE_ROLES, Role
from lab.record import StrikeSource
from lab.scenario.strike_spec import ANY, LEADER, PRIMARY, REPLICA, STORE, LoseZone, StrikeSpec, role_of, zone_of

ALLOWED_WITHIN = 30.0
"""Seconds that a step waits for the blast radius to allow it, as after another strike."""
NOTICED_WITHIN = 1.0
"""Seconds in which a deployer has surely looked once more: before that, its last word may be from before the strike."""
HOLD_EVERY = 0.5
"""Seconds between two looks into a lost zone."""


def pick_victims(
    there: Sequence[Victim], to: str, random: Random, primary: Callable[[], str] = lambda: ""
) -> list[Victim]:
    """Those who are named, of all that may be struck. Raises UsageError where nobody is.

    `primary` says which store is the primary of this moment; it is asked only where that matters.
    """
    role, whole = role_of(to), zone_of(to)
    found = [one for one in there if one.role is role and one.is_running]
    if whole:
        # But for its balancer, which talks to nobody of the cluster over a network.
        found = [one for one in there if one.zone == whole and one.is_running and one.role is not Role.BALANCER]
    elif role is Role.STORE:
        found = _pick_store(found, to.partition("/")[2], random, primary)
    elif role in {Role.BALANCER, Role.SENTINEL, Role.ORDERS, Role.WORKER}:
        _, _, part = to.partition("/")
        found = [one for one in found if part in {"", one.zone, one.name}][:1]
    elif role is Role.NODE:
        _, _, part = to.partition("/")
        found = [one for one in found if (one.leads if part == LEADER else part in {one.zone, one.name})][:1]
    elif role is Role.DEPLOYER:
        found = found[:1]
    elif to == ANY:
        found = [random.choice(sorted(found, key=lambda one: one.slot))] if found else []
    else:
        found = [one for one in found if to in {one.slot, one.zone, one.name}]
    if not found:
        runs = ", ".join(one.name for one in there if one.is_running)
        raise UsageError("nothing of that name is running", at=to, hint=f"one of: {runs}")
    return found


def pick_fault(
    do: str,
    to: str,
    off: str,
    there: Sequence[Victim],
    victims: Sequence[Victim],
    primary: Callable[[], str] = lambda: "",
) -> Fault:
    """The fault of this name; of a cut from somebody, from those of `there` whom `off` names and who are no victims.

    Raises UsageError where there is nobody.
    """
    fault = find_fault(do, role_of(to))
    if not off:
        return fault
    struck = {one.container for one in victims}
    all_stores = [one for one in there if one.role is Role.STORE]
    found = all_stores if off == STORE else pick_victims(there, off, Random(0), primary)
    peers = [one for one in found if one.container not in struck and one.addresses]
    if not peers:
        raise UsageError("nothing to cut it off from", at=off, hint="from: store")
    return cut_from(peers, off)


def _pick_store(found: list[Victim], part: str, random: Random, primary: Callable[[], str]) -> list[Victim]:
    """The primary if no other is named, one of its replicas, or that of a zone."""
    if part not in {"", PRIMARY, REPLICA}:
        return [one for one in found if part in {one.zone, one.name}]
    name = primary()
    if part == REPLICA:
        others = sorted((one for one in found if one.name != name), key=lambda one: one.name)
        return [random.choice(others)] if others else []
    return [one for one in found if one.name == name]


class StrikeStep:
    """One fault, lasting as long as it is to, then undone; over when every slot serves again."""

    def __init__(
        self,
        spec: StrikeSpec,
        striker: Striker,
        is_settled: Callable[[], bool],
        random: Random,
        clock: Clock,
        *,
        unsettled: Callable[[], str] = lambda: "",
    ) -> None:
        """`unsettled` says what is missing while `is_settled` is false, for a person."""
        self._spec, self._striker, self._is_settled, self._unsettled = spec, striker, is_settled, unsettled
        self._random, self._clock = random, clock
        self._fault = find_fault(spec.do, spec.role)
        self._strikes: tuple[int, ...] | None = None
        self._began = self._luck = 0
        self._refused = ""

    @property
    def text(self) -> str:
        spec, lasts = self._spec, f" for {self._spec.seconds:g} s" if self._fault.lasts else ""
        off = f" from {spec.off}" if spec.off else ""
        return f"{self._fault.text(spec.signal)} to {spec.to}{off}{lasts}"

    @property
    def pending(self) -> str:
        if self._strikes is None:
            return f"{self.text}: not done yet; {self._refused or 'its time has not come'}"
        return f"every slot to serve again after {self.text}; {self._unsettled() or self._striker.stores_trouble()}"

    def begin(self) -> None:
        self._began = self._clock.now()
        self._luck = self._random.getrandbits(32)  # drawn once, so that waiting does not change who is struck

    def is_over(self) -> bool:
        now = self._clock.now()
        if self._strikes is None and now - self._began < self._spec.after * NS:
            return False
        if self._strikes is None:
            there = self._striker.victims()
            victims = pick_victims(there, self._spec.to, Random(self._luck), self._striker.primary)
            fault = pick_fault(self._spec.do, self._spec.to, self._spec.off, there, victims, self._striker.primary)
            refused = self._striker.refusal(victims) or self._strike(fault, victims)
            self._refused = refused
            if refused and now - self._began > (self._spec.after + ALLOWED_WITHIN) * NS:
                raise LabFault(f"{self.text}: {refused}", at="blast radius")
            return False
        if now - self._began < max(self._spec.seconds, NOTICED_WITHIN) * NS:
            return False
        self._striker.undo(self._strikes)
        return self._is_settled() and (self._spec.role not in STORE_ROLES or self._striker.stores_are_whole())

    def end(self) -> None:
        self._striker.undo(self._strikes or ())

    def _strike(self, fault: Fault, victims: Sequence[Victim]) -> str:
        """Why it was refused after all, as where somebody stopped serving since it was looked at; "" if it is done."""
        try:
            struck = self._striker.strike(fault, victims, signal=self._spec.signal, source=StrikeSource.STEP)
        except UsageError as exc:
            return exc.what
        self._strikes, self._began = tuple(one.strike for one in struck), self._clock.now()
        return ""


class LoseZoneStep:
    """A zone is gone for a while; over when it is back and every slot serves."""

    def __init__(
        self,
        spec: LoseZone,
        striker: Striker,
        is_settled: Callable[[], bool],
        clock: Clock,
        *,
        unsettled: Callable[[], str] = lambda: "",
    ) -> None:
        """`unsettled` says what is missing while `is_settled` is false, for a person."""
        self._spec, self._striker, self._is_settled, self._clock = spec, striker, is_settled, clock
        self._unsettled = unsettled
        self._began = self._held = 0
        self._why_not = ""
        self._is_lost = self._is_back = False

    @property
    def text(self) -> str:
        how = "cut off" if self._spec.cut_off else "lost"
        return f"zone {self._spec.zone} is {how} for {self._spec.seconds:g} s"

    @property
    def pending(self) -> str:
        if not self._is_back:
            return f"zone {self._spec.zone} to be {'back' if self._is_lost else 'lost'}; {self._why_not}".rstrip("; ")
        trouble = self._unsettled() or self._striker.stores_trouble()
        return f"every slot and store to serve again after zone {self._spec.zone} came back; {trouble}"

    def begin(self) -> None:
        self._began = self._clock.now()

    def is_over(self) -> bool:
        spec, now = self._spec, self._clock.now()
        if not self._is_lost:
            self._lose(now)
        elif not self._is_back and now - self._began < spec.seconds * NS:
            if now - self._held > HOLD_EVERY * NS:
                self._held = now
                self._striker.hold_zone(spec.zone, cut_off=spec.cut_off, source=StrikeSource.STEP)
        elif not self._is_back:
            self._striker.regain_zone(spec.zone)
            self._is_back = True
        return self._is_back and self._is_settled() and self._striker.stores_are_whole()

    def end(self) -> None:
        self._striker.regain_zone(self._spec.zone)

    def _lose(self, now: int) -> None:
        there = self._striker.in_zone(self._spec.zone)
        refused = self._why_not = self._striker.refusal(there, zone=self._spec.zone) or self._refused()
        if refused and now - self._began > ALLOWED_WITHIN * NS:
            raise LabFault(f"{self.text}: {refused}", at="blast radius")

    def _refused(self) -> str:
        """Lose it now. Why that was refused after all, as above; "" if it is lost."""
        try:
            self._striker.lose_zone(self._spec.zone, cut_off=self._spec.cut_off, source=StrikeSource.STEP)
        except UsageError as exc:
            return exc.what
        self._is_lost, self._began = True, self._clock.now()
        return ""
