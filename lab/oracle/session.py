"""Sessions: a login makes one, every request carries it, a logout ends it, and nothing else may."""

from __future__ import annotations

from collections.abc import Sequence

from lab.clock import NS
from lab.model import Operation, Value
from lab.oracle.breach import Breach, breach, seconds
from lab.oracle.counts import CheckCounts
from lab.oracle.interval import begin_of
from lab.oracle.promises import LOGGED_IN, Anomaly
from lab.oracle.words import BROWSE, LOGIN, LOGOUT, OK, REFUSED

SESSIONS_KEPT = 64
"""How many sessions of one user are remembered; far more than a user has devices."""

_NOT_ACCEPTED_BY = frozenset({LOGIN, LOGOUT})
"""Kinds whose answer does not prove that the session was alive: they repeat a stored answer."""


class SessionLimits(Value):
    """How long the app keeps a session, in seconds; a 401 that may be due to them is no forced logout.

    The app renews the idle time only once less than half of it is left, so that a session may end after half of
    `idle` without a request.
    """

    idle: float = 30 * 60.0
    absolute: float = 12 * 60 * 60.0


class _Session:
    __slots__ = ("login", "logout", "logout_began", "rejected", "used")

    def __init__(self) -> None:
        self.login: Operation | None = None
        self.used = 0
        self.logout_began: int | None = None
        self.logout: Operation | None = None
        self.rejected: Operation | None = None


class Sessions:
    """Exact, but for the limits: the slots login, accepted, logout, rejected of one session are totally ordered.

    A login of unknown outcome gave nobody a session, so it claims nothing. A logout of unknown outcome may take
    effect at any time after it began: it explains a 401, but forbids nothing by itself. A public page (BROWSE) claims
    nothing, whatever it answers.
    """

    __slots__ = ("_counts", "_limits", "_sessions", "alive")

    def __init__(self, counts: CheckCounts, limits: SessionLimits) -> None:
        self._counts, self._limits = counts, limits
        self._sessions: dict[str, _Session] = {}
        self.alive: dict[str, _Session] = {}
        """Those that nobody logged out of and no answer rejected so far."""

    def fits(self, operation: Operation) -> bool:  # noqa: ARG002 -- as all objects
        """Sessions have their own quick way: they are `alive`."""
        return False

    def judge(self, window: Sequence[Operation]) -> Breach | None:
        """Take in every operation between two quiet points; the first contradiction, or None."""
        if all(self._is_plain(operation) for operation in window):
            for operation in window:
                self._take_plain(operation)
            return None
        claims = [operation for operation in window if operation.kind is not BROWSE]
        for operation in claims:
            alias = operation.session
            if alias is not None:
                session = self._of(alias)
                self._note(session, operation)
                if session.logout_began is not None or session.rejected is not None:
                    self.alive.pop(alias, None)
        found: Breach | None = None
        for operation in claims:
            if operation.session is not None and found is None:
                found = self._check(self._sessions[operation.session], operation)
        while len(self._sessions) > SESSIONS_KEPT:
            oldest = next(iter(self._sessions))
            del self._sessions[oldest]
            self.alive.pop(oldest, None)
        return found

    def shows(self, operation: Operation, identifier: str) -> bool:  # noqa: ARG002 -- as all objects
        """A session has no content that could come back."""
        return False

    def _is_plain(self, operation: Operation) -> bool:
        """Is there nothing to contradict: no session, no claim about it, or one that is simply alive?"""
        kind = operation.kind
        if operation.session is None or kind is BROWSE:
            return True
        if kind is LOGIN or kind is LOGOUT or operation.session_rejected:
            return False
        return operation.session in self.alive

    def _take_plain(self, operation: Operation) -> None:
        if operation.session is not None and operation.outcome is OK and operation.kind is not BROWSE:
            session = self.alive[operation.session]
            session.used = max(session.used, operation.begin)
            self._counts.requests_in_session += 1

    def _of(self, alias: str) -> _Session:
        session = self._sessions.get(alias)
        if session is None:
            session = self._sessions[alias] = self.alive[alias] = _Session()
        return session

    def _note(self, session: _Session, operation: Operation) -> None:
        kind = operation.kind
        if kind is LOGIN:
            if operation.outcome is OK and session.login is None:
                session.login = operation
                session.used = operation.begin
        elif kind is LOGOUT:
            if operation.outcome is not REFUSED:
                began = begin_of(operation)
                session.logout_began = began if session.logout_began is None else min(session.logout_began, began)
            if operation.outcome is OK and (session.logout is None or operation.end < session.logout.end):
                session.logout = operation
        if operation.session_rejected:
            if session.rejected is None or operation.end < session.rejected.end:
                session.rejected = operation
        elif operation.outcome is OK and kind not in _NOT_ACCEPTED_BY:
            session.used = max(session.used, operation.begin)

    def _check(self, session: _Session, operation: Operation) -> Breach | None:
        if operation.session_rejected:
            return self._check_rejected(session, operation)
        if operation.outcome is not OK or operation.kind in _NOT_ACCEPTED_BY:
            return None
        self._counts.requests_in_session += 1
        begin = begin_of(operation)
        if session.logout is not None and session.logout.end < begin:
            why = (
                f"a request was accepted {seconds(begin - session.logout.end)} after the logout "
                "of its session had been acknowledged"
            )
            return breach(LOGGED_IN, Anomaly.ALIVE_AFTER_LOGOUT, why, session.login, session.logout, operation)
        if session.rejected is not None and session.rejected.end < begin:
            why = f"the session was {_rejected(session.rejected)}, and later accepted again"
            return breach(LOGGED_IN, Anomaly.FLAPPING, why, session.login, session.rejected, operation)
        return None

    def _check_rejected(self, session: _Session, operation: Operation) -> Breach | None:
        login = session.login
        if login is None or operation.begin <= login.end:
            return None
        self._counts.requests_in_session += 1
        if session.logout_began is not None and session.logout_began <= operation.end:
            return None
        if self._may_have_run_out(session, login, operation):
            return None
        why = (
            f"a session that was {seconds(operation.end - login.end)} old was {_rejected(operation)}, "
            "and nobody had logged out"
        )
        return breach(LOGGED_IN, Anomaly.FORCED_LOGOUT, why, login, operation)

    def _may_have_run_out(self, session: _Session, login: Operation, rejected: Operation) -> bool:
        idle_until = session.used + int(self._limits.idle * NS / 2)
        return rejected.end >= min(idle_until, login.begin + int(self._limits.absolute * NS))


def _rejected(operation: Operation) -> str:
    """How the app said that it did not know the session."""
    result = operation.final.result
    if result == "401":
        return "rejected with 401"
    how = "shown the login page" if result < "3" else "sent to log in"
    return f"not known any more: the user was {how} ({result})"
