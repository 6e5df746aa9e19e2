"""How often each promise could have failed: a promise that nothing put to the test is not kept, only untried."""

from __future__ import annotations

from collections.abc import Iterable

from lab.model import Kind, Operation, Outcome, Try
from lab.oracle.promises import OCCASIONS
from lab.oracle.stops import planned_stops
from lab.record import AnyEvent, AppStopped, Step

LONG = 40
"""Characters of a display name from which on it is a long one."""

_OK = Outcome.OK
_LOGIN, _BROWSE = Kind.LOGIN, Kind.BROWSE
_HISTORY, _CART, _NAME, _OWN = range(4)
_WRITES = {
    Kind.VIEW: _HISTORY,
    Kind.ADD: _CART,
    Kind.REMOVE: _CART,
    Kind.CHECKOUT: _CART,
    Kind.RENAME: _NAME,
    Kind.ACT: _OWN,
}
_READS = {
    Kind.HISTORY: _HISTORY,
    Kind.CART: _CART,
    Kind.ORDERS: _CART,
    Kind.ACCOUNT: _NAME,
    Kind.READ: _OWN,
}
_NOBODY = "", 0, None


class OccasionCounts:
    """Fed with every operation in the order of their ends, after all events. Memory grows with users and sessions."""

    def __init__(self, events: Iterable[AnyEvent], *, new_release: str | None = None, is_part: bool = False) -> None:
        """`is_part`: it is fed only some of the users, and told of neighbours by `add_neighbours`, if at all."""
        self._is_part = is_part
        events = sorted(events, key=lambda event: event.at)
        self._new_release = new_release
        self._stops = {stop.replica: stop for stop in planned_stops(events)}
        self._signalled = {event.replica: event for event in events if isinstance(event, AppStopped)}
        """When an app that knows nothing of the lab got its own stop signal: by then its gate lets nobody in."""
        self._born: dict[str, int] = {}
        for event in events:
            if isinstance(event, Step) and event.replica:
                self._born.setdefault(event.replica, event.at)
        self._made: dict[str, tuple[str, int, str | None]] = {}
        """Who made each session, when, and of which release it was."""
        self._ended: set[str] = set()
        self._written: dict[str, list[str]] = {}
        """By user, who wrote last to each of the user's belongings."""
        self._served: dict[str, str] = {}
        """Whom each replica answered last."""
        self._sessions: dict[str, str] = {}
        """The last session of each device."""
        self._newly: set[str] = set()
        """Accounts that were last logged in to at the new release."""
        self._busy: set[str] = set()
        self._elsewhere = self._read_elsewhere = self._older = self._across = self._neighbours = 0
        self._rare = dict.fromkeys(OCCASIONS, 0)

    def feed(self, operation: Operation) -> None:
        """Count what this operation puts to the test."""
        last = operation.tries[-1]
        replica, user, session, kind = last.replica, operation.user, operation.session, operation.kind
        if self._signalled and (replica is None or len(last.edge) > 1):
            self._note_cut(last)
        if replica is None:
            return
        if not self._is_part and self._served.get(replica) != user:
            self._served[replica] = user
            self._neighbours += 1
        if replica in self._stops:
            self._note_stop(replica, last)
        if operation.outcome is _OK:
            if session is not None and kind is not _BROWSE:  # which takes no session
                self._note_session(session, operation)
            place = _READS.get(kind)
            if place is not None:
                writer = self._written.get(user)
                if writer is not None and writer[place] and writer[place] != replica:
                    self._read_elsewhere += 1
            else:
                place = _WRITES.get(kind)
                if place is not None:
                    self._written.setdefault(user, ["", "", "", ""])[place] = replica
        if kind not in _ORDINARY or operation.repeats or operation.is_page:
            self._note_rare(operation)
        elif operation.outcome is not _OK and operation.session_rejected:
            self._rare["ended_sessions"] += session in self._ended
            self._sessions.pop(operation.device, None)

    def _note_stop(self, replica: str, last: Try) -> None:
        """Whether what it answered was in it when it was told to stop."""
        told = self._signalled.get(replica)
        if told is None:
            is_busy = last.end > self._stops[replica].begin
        else:
            is_busy = last.begin < told.at and max(told.at, told.heard) < last.end
        if is_busy:
            self._busy.add(replica)

    def _note_cut(self, last: Try) -> None:
        """Who was asked and did not answer it, while an app was told to stop."""
        left = last.edge if last.replica is None else last.edge[:-1]
        for told in self._signalled.values():
            if told.slot in left and last.begin < told.at < last.end:
                self._busy.add(told.replica)

    def add_neighbours(self, count: int) -> None:
        """So often a replica answered somebody else than the time before, as was found apart."""
        self._neighbours += count

    def absorb(self, part: OccasionCounts) -> None:
        """Count what a part was fed, which is of other users."""
        self._elsewhere += part._elsewhere
        self._read_elsewhere += part._read_elsewhere
        self._older += part._older
        self._across += part._across
        self._neighbours += part._neighbours
        self._busy |= part._busy
        for name, count in part._rare.items():
            self._rare[name] += count

    def counts(self) -> dict[str, int]:
        """How many of each, by name."""
        return {
            **self._rare,
            "neighbours": self._neighbours,
            "read_elsewhere": self._read_elsewhere,
            "sessions_elsewhere": self._elsewhere,
            "older_sessions": self._older,
            "sessions_across": self._across,
            "busy_stops": len(self._busy),
        }

    def _note_session(self, session: str, operation: Operation) -> None:
        last = operation.tries[-1]
        if operation.kind is _LOGIN:
            self._made[session] = (last.replica or "", operation.end, last.release)
            return
        maker, at, release = self._made.get(session, _NOBODY)
        if maker and maker != last.replica:
            self._elsewhere += 1
            self._across += release != last.release
            self._older += self._born.get(last.replica or "", 0) > at

    def _note_login(self, operation: Operation) -> None:
        """Whether an older release takes what the new one may have made of the account, or answers at least."""
        account, release = str(operation.argument or operation.user), operation.final.release
        if release == self._new_release:
            if operation.outcome is _OK:
                self._newly.add(account)
        elif release is not None and account in self._newly:
            self._newly.discard(account)
            self._rare["logins_back"] += 1

    def _note_rare(self, operation: Operation) -> None:
        kind, rare, done = operation.kind, self._rare, operation.outcome is _OK
        if kind in _LOGINS:
            self._note_login(operation)
        rare["pages"] += operation.is_page and done
        if operation.repeats:
            makers = {one.replica for one in operation.tries if one.answered}
            rare["sent_again"] += 1
            rare["sent_again_elsewhere"] += len(makers) > 1
            rare["orders_sent_again"] += kind is Kind.CHECKOUT and bool(operation.answer)
        if kind is _LOGIN and done:
            device, session = operation.device, operation.session or ""
            rare["logins_again"] += self._sessions.get(device, "") not in {"", *self._ended}
            self._sessions[device] = session
        elif kind is Kind.LOGOUT and operation.session is not None:
            self._ended.add(operation.session)
        elif kind is Kind.INTRUDE:
            rare["wrong_passwords"] += operation.final.answered
        elif kind is Kind.JOIN:
            rare["newcomers"] += done and operation.final.release == self._new_release
        elif kind is Kind.DEVICES:
            rare["device_lists"] += done
        elif kind is Kind.RENAME and done:
            name = str(operation.argument)
            rare["odd_names"] += len(name) > LONG or not name.isascii()


_LOGINS = frozenset({Kind.LOGIN, Kind.JOIN})
_ORDINARY = frozenset(Kind) - {Kind.LOGIN, Kind.LOGOUT, Kind.INTRUDE, Kind.JOIN, Kind.DEVICES, Kind.RENAME}
"""Kinds of which only where they are answered matters."""
