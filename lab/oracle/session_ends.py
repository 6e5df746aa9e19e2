"""What ends sessions that nobody ended, and what keeps those alive that were: told by all that became of sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome
from lab.oracle.promises import Anomaly
from lab.oracle.went_well import ACCIDENT
from lab.oracle.witness import release_of, replica_of
from lab.record import AnyEvent, RolloutMoved

FITS, LEAST = 0.9, 3
"""The share of the findings that a sentence must fit, and how many there must be."""
ACCEPTED = 20
"""Requests with a session that must have been accepted to say how old one gets."""
BLURRED = NS
"""Nanoseconds by which ages may overlap: apps count in whole seconds. Those of some such seconds say nothing."""

_ENDERS = {
    Kind.LOGIN: "a login on one device ends the sessions of the others",
    Kind.LOGOUT: "a logout on one device ends the sessions of the others",
}


def session_ends(
    findings: Sequence[Finding],
    history: Iterable[Operation],
    events: Iterable[AnyEvent],
    *,
    are_as_old: bool = False,
) -> str:
    """The likely cause, in words; empty where none fits nearly all, or something contradicts each.

    `are_as_old`: most sessions began together, so that whatever ends all at one time takes those of one age.
    """
    ended = [one for one in findings if one.anomaly == Anomaly.FORCED_LOGOUT and len(one.witness) > 1]
    alive = [one for one in findings if one.anomaly == Anomaly.ALIVE_AFTER_LOGOUT and len(one.witness) > 1]
    if len(ended) < LEAST and not alive:
        return ""
    new = {event.to for event in events if isinstance(event, RolloutMoved)}
    seen = _Seen(new, ended, {one.witness[-1].id for one in alive})
    for operation in history:
        seen.take(operation)
    if len(alive) > len(ended):
        return seen.known_elsewhere(alive) or seen.came_back(alive) or seen.ends_nothing()
    by_others = seen.of_other_devices()
    return by_others or ("" if are_as_old and seen.all_at_once else seen.too_old() or seen.too_idle())


class _Session:
    __slots__ = ("began", "device", "ended_by", "rivals", "used", "was_gone")

    def __init__(self, device: str, began: int) -> None:
        self.device, self.began = device, began
        self.used: int | None = None
        """When it was accepted last, if by the new release: the old one may set its time anew."""
        self.was_gone = False
        """Whether it was refused after its logout, as it should be."""
        self.ended_by: str | None = None
        """The replica that answered its logout."""
        self.rivals: dict[Kind, int] = {}
        """When another device of the account last did each thing that may end it."""


@dataclass
class _Refused:
    """A session that was refused, and what other devices of the account had done that may have ended it."""

    device: str
    at: int
    rivals: set[Kind]

    def note(self, later: Operation) -> None:
        """What takes effect before it is answered may have done so before this was refused."""
        if later.device != self.device and later.begin < self.at:
            self.rivals.add(later.kind)


class _Seen:
    """Fed with everything in order; memory grows with the sessions."""

    def __init__(self, new: set[str], ended: Sequence[Finding], alive: set[int]) -> None:
        self._new, self._alive = new, alive
        self._came_back = 0
        self._ends = {one.witness[-1].id for one in ended}
        self._sessions: dict[str, _Session] = {}
        self._by_user: dict[str, list[_Session]] = {}
        self._ages: list[int] = []
        self._refused_at: list[int] = []
        self._idle: list[int] = []
        """Of the sessions that were refused."""
        self._oldest: Counter[str] = Counter()
        """How old a session was that each release accepted."""
        self._refused_by: Counter[str] = Counter()
        self._longest_idle = self._accepted = 0
        self._refusals: dict[str, list[_Refused]] = {}
        """By user."""
        self._survived: Counter[Kind] = Counter()
        self._shown = self._shown_elsewhere = self._refused_after = 0

    def take(self, operation: Operation) -> None:
        kind, alias = operation.kind, operation.session
        if kind in {Kind.LOGIN, Kind.LOGOUT} and operation.outcome is Outcome.OK and self._is_new(operation):
            for other in self._by_user.get(operation.user, ()):
                if other.device != operation.device and other.ended_by is None:
                    other.rivals[kind] = operation.end
            for refused in self._refusals.get(operation.user, ()):
                refused.note(operation)
        if alias is None or kind is Kind.BROWSE:
            return
        if kind is Kind.LOGIN and operation.outcome is Outcome.OK:
            self._sessions[alias] = made = _Session(operation.device, operation.end)
            self._by_user.setdefault(operation.user, []).append(made)
        elif alias in self._sessions:
            self._of(self._sessions[alias], operation)

    def _of(self, session: _Session, operation: Operation) -> None:
        if session.ended_by is not None:
            self._shown += 1
            self._shown_elsewhere += replica_of(operation) != session.ended_by
            self._refused_after += operation.session_rejected
            self._came_back += session.was_gone and operation.id in self._alive
            session.was_gone = session.was_gone or operation.session_rejected
        elif operation.kind is Kind.LOGOUT:
            if operation.outcome is Outcome.OK:
                session.ended_by = replica_of(operation)
                self._by_user[operation.user].remove(session)
        elif operation.id in self._ends:
            self._refused(session, operation)
        elif operation.outcome is Outcome.OK and not operation.session_rejected:
            self._took(session, operation)

    def _refused(self, session: _Session, operation: Operation) -> None:
        refused = _Refused(session.device, operation.end, set(session.rivals))
        self._refusals.setdefault(operation.user, []).append(refused)
        self._refused_by[str(release_of(operation))] += 1
        self._ages.append(operation.end - session.began)
        self._refused_at.append(operation.end)
        if session.used is not None:
            self._idle.append(operation.end - session.used)
        session.ended_by = ""
        self._by_user[operation.user].remove(session)

    def _took(self, session: _Session, operation: Operation) -> None:
        self._accepted += 1
        at, release = operation.begin, str(release_of(operation))
        self._oldest[release] = max(self._oldest[release], at - session.began)
        if session.used is not None:
            self._longest_idle = max(self._longest_idle, at - session.used)
        session.used = operation.end if self._is_new(operation) else None
        outlived = [kind for kind, ended in session.rivals.items() if ended < at]
        for kind in outlived:
            self._survived[kind] += 1
            del session.rivals[kind]

    def _is_new(self, operation: Operation) -> bool:
        return not self._new or release_of(operation) in self._new

    def of_other_devices(self) -> str:
        """Was nearly each that was refused used on, until another device did something that no session outlived?"""
        for kind, sentence in _ENDERS.items():
            fitting = sum(kind in one.rivals for those in self._refusals.values() for one in those)
            if fitting >= max(LEAST, FITS * len(self._ages)) and self._survived[kind] <= (1 - FITS) * fitting:
                return sentence
        return ""

    @property
    def all_at_once(self) -> bool:
        """Whether what ended them may have ended all at one time, and not each at its own."""
        return bool(self._refused_at) and max(self._refused_at) - min(self._refused_at) < BLURRED

    def too_old(self) -> str:
        """Was every one that was refused older than all that those who refuse accepted?"""
        oldest = max((self._oldest[release] for release in self._refused_by), default=0)
        if self._accepted < ACCEPTED or len(self._ages) < LEAST or min(self._ages) < oldest - BLURRED:
            return ""
        if min(self._ages) < 2 * BLURRED:
            return ""
        return f"sessions end {_whole(min(self._ages))} after their login, whatever they are used for"

    def too_idle(self) -> str:
        """Had every one been left alone for longer than any that was accepted?"""
        if self._accepted < ACCEPTED or len(self._idle) < max(LEAST, FITS * len(self._ages)):
            return ""
        idle = sorted(self._idle)[len(self._idle) - int(FITS * len(self._idle)) :]
        if not idle or idle[0] < max(BLURRED, self._longest_idle - BLURRED // 2):
            return ""
        return f"sessions end once nobody has used them for {_whole(idle[0])}"

    def came_back(self, alive: Sequence[Finding]) -> str:
        """Had most that were taken after their logout been refused first? The others may have been back when shown."""
        if self._came_back < len(alive) / 2:
            return ""
        return "sessions that had ended come back: something writes again what it had read before"

    def known_elsewhere(self, alive: Sequence[Finding]) -> str:
        """Were ended sessions taken by others than who had ended them alone, though they were shown to those, too?"""
        elsewhere = 0
        if len(alive) < LEAST:
            return ""
        for one in alive:
            logouts = [operation for operation in one.witness if operation.kind is Kind.LOGOUT]
            elsewhere += bool(logouts) and replica_of(logouts[-1]) != replica_of(one.witness[-1])
        share = self._shown_elsewhere / self._shown if self._shown else 1.0
        if elsewhere < len(alive) or share ** len(alive) > ACCIDENT:
            return ""
        return "sessions that were ended at one replica are known to others still: each has a cache of its own"

    def ends_nothing(self) -> str:
        """Was each that was shown after its logout taken, by the replica that had answered the logout, too?"""
        if self._refused_after or self._shown < LEAST or self._shown_elsewhere == self._shown:
            return ""
        return "a logout ends no session: whoever has its cookies stays logged in"


def _whole(nanoseconds: int) -> str:
    return f"{nanoseconds / NS:.0f} s"
