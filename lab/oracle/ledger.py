"""One user's objects: what the answers must agree with, judged from one quiet point to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from lab.model import Operation
from lab.oracle import own_data
from lab.oracle.breach import Breach, breach
from lab.oracle.cart import Cart
from lab.oracle.cart_states import Undecided
from lab.oracle.counts import CheckCounts
from lab.oracle.devices import Devices
from lab.oracle.findings import Findings
from lab.oracle.history import History
from lab.oracle.interval import NEVER, cut_at_quiet
from lab.oracle.name import Name
from lab.oracle.own_state import OwnState
from lab.oracle.promises import APPLIED_ONCE, STATE_KEPT, Anomaly
from lab.oracle.session import SessionLimits, Sessions
from lab.oracle.words import (
    ACCOUNT,
    ACT,
    ADD,
    BROWSE,
    CART,
    CHECKOUT,
    HISTORY,
    LOGOUT,
    OK,
    ORDERS,
    REMOVE,
    RENAME,
    STATE,
    VIEW,
)


class _Object(Protocol):
    """One thing that belongs to a user, whose history is linearizable or not for itself."""

    def fits(self, operation: Operation) -> bool:
        """Take in an answered operation that nothing overlaps, if it simply fits what is known. False: it is for
        `judge`, and nothing has changed. What it shows is then the user's own: it was expected."""
        ...

    def judge(self, window: Sequence[Operation]) -> Breach | None: ...

    def shows(self, operation: Operation, identifier: str) -> bool: ...


class _Judged:
    """An object with its first finding, if there is one; after that nothing more is said about it."""

    __slots__ = ("finding", "missing", "over", "subject")

    def __init__(self, subject: _Object) -> None:
        self.subject = subject
        self.over = False
        self.finding = -1
        self.missing: str | None = None


_HISTORY, _CART, _NAME, _OWN = range(4)
_OBJECTS: tuple[Callable[[CheckCounts], _Object], ...] = (History, Cart, Name, OwnState)
"""Each at its place."""
_OBJECT_OF = {
    VIEW: _HISTORY,
    HISTORY: _HISTORY,
    ADD: _CART,
    REMOVE: _CART,
    CART: _CART,
    CHECKOUT: _CART,
    ORDERS: _CART,
    RENAME: _NAME,
    ACCOUNT: _NAME,
    ACT: _OWN,
    STATE: _OWN,
}


class Ledger:
    """Everything about one user. Memory is bounded by the user's state and by what a quiet point leaves open."""

    __slots__ = (
        "_alive",
        "_content",
        "_counts",
        "_devices",
        "_findings",
        "_judged_until",
        "_objects",
        "_own_data",
        "_sessions",
        "_user",
        "late",
        "undecided",
        "waiting",
    )

    def __init__(self, user: str, findings: Findings, counts: CheckCounts, limits: SessionLimits) -> None:
        self._user, self._findings, self._counts = user, findings, counts
        self._objects: list[_Judged | None] = [None] * len(_OBJECTS)
        """Made when the user first does something with them: most users of a great crowd are idle, or have but some."""
        sessions = Sessions(counts, limits)
        self._alive, self._sessions = sessions.alive, _Judged(sessions)
        self._devices: Devices | None = None
        """As late as the objects."""
        self._own_data = self._content = True
        self._judged_until = -NEVER
        self.waiting: list[Operation] = []
        """What ended since the last quiet point."""
        self.undecided = False
        """The search for one of the objects was given up: nothing more is claimed of it."""
        self.late = False
        """An operation had begun before a quiet point that was announced after: nothing can be claimed any more."""

    def feed(self, operation: Operation) -> None:
        """Take in an operation that has ended; it is judged at the next quiet point, but for whose data it shows."""
        self.waiting.append(operation)
        if operation.kind in _OBJECT_OF:
            self._comparison().note(operation)
        elif operation.kind is LOGOUT and operation.ended_early is not None:
            self._note_logout(operation)
        self._check_owner(operation)
        self._check_content(operation)

    def take_alone(self, operation: Operation) -> bool:
        """The quick way, which nearly every operation takes: nothing overlaps it, and it fits. False: feed it.

        What it decides is what `feed` and `judge` would have decided.
        """
        answered_as, kind, alias = operation.answered_as, operation.kind, operation.session
        if (
            self.waiting
            or self.late
            or operation.begin <= self._judged_until
            or operation.outcome is not OK
            or len(operation.tries) != 1
            or operation.foreign is not None
            or operation.wrong is not None
            or (answered_as is not None and answered_as != self._user)
        ):
            return False
        session = None
        if alias is not None and kind is not BROWSE and not self._sessions.over:
            session = self._alive.get(alias)
            if session is None:
                return False
        place = _OBJECT_OF.get(kind)
        if place is not None:
            judged = self._objects[place] or self._object(place)
            if judged.over or not judged.subject.fits(operation):
                return False
            (self._devices or self._comparison()).note(operation)
        elif kind is not BROWSE:
            return False
        counts = self._counts
        if session is not None:
            session.used = operation.begin
            counts.requests_in_session += 1
        if answered_as is not None or kind in own_data.SHOWING:
            counts.answers_owned += 1
        self._judged_until = operation.end
        return True

    def judge(self) -> None:
        """The user is quiet: judge all that waits."""
        if not self.waiting:
            return
        window, self.waiting = self.waiting, []
        if self.late:
            return
        only = window[0] if len(window) == 1 else None
        began = only.begin if only is not None else min(operation.begin for operation in window)
        if began < self._judged_until:
            self.late = True
            return
        self._judged_until = only.end if only is not None else max(operation.end for operation in window)
        if not self._sessions.over:
            self._judge(self._sessions, window)
        if only is not None:
            place = _OBJECT_OF.get(only.kind)
            if place is not None:
                self._judge(self._object(place), window)
            return
        parts: tuple[list[Operation], ...] = ([], [], [], [])
        for operation in window:
            place = _OBJECT_OF.get(operation.kind)
            if place is not None:
                parts[place].append(operation)
        for place, part in enumerate(parts):
            if part:
                self._judge(self._object(place), part)

    def _note_logout(self, operation: Operation) -> None:
        if operation.ended_early:
            self._counts.own_app.logouts_early[operation.ended_early] += 1
        else:
            self._counts.own_app.logged_out += 1

    def _comparison(self) -> Devices:
        """Of what the devices show in the end."""
        devices = self._devices
        if devices is None:
            devices = self._devices = Devices(self._counts)
        return devices

    def _object(self, place: int) -> _Judged:
        judged = self._objects[place]
        if judged is None:
            judged = self._objects[place] = _Judged(_OBJECTS[place](self._counts))
        return judged

    def judge_all(self) -> None:
        """The run is over: find the quiet points in what waits, judge it, and compare the last reads."""
        waiting = sorted(self.waiting, key=lambda operation: operation.begin)
        for window in cut_at_quiet(waiting):
            self.waiting = window
            self.judge()
        self.waiting = []
        if not self.late and self._devices is not None:
            found = self._devices.judge()
            if found is not None:
                self._findings.add(self._user, found)

    def _judge(self, judged: _Judged, window: Sequence[Operation]) -> None:
        if judged.over:
            self._look_again(judged, window)
            return
        alone = window[0] if len(window) == 1 else None
        if alone is not None and alone.outcome is OK and len(alone.tries) == 1 and judged.subject.fits(alone):
            return
        try:
            found = judged.subject.judge(window)
        except Undecided:
            judged.over = self.undecided = True
            return
        if found is not None:
            judged.over = True
            judged.missing = found.missing
            judged.finding = self._findings.add(self._user, found)
            self._look_again(judged, [one for one in window if one not in found.witness])

    def _look_again(self, judged: _Judged, window: Sequence[Operation]) -> None:
        if judged.missing is None:
            return
        found_at = self._findings.all[judged.finding].at
        for operation in window:
            later = operation.outcome is OK and operation.end > found_at
            if later and judged.subject.shows(operation, judged.missing):
                self._findings.refine(judged.finding, operation)
                judged.missing = None
                return

    def _check_content(self, operation: Operation) -> None:
        """What an answer tells by itself, and what a request was answered that was sent again; once of each user."""
        found: Breach | None = None
        if operation.wrong is not None:
            found = breach(STATE_KEPT, Anomaly.WRONG_CONTENT, operation.wrong, operation)
        elif operation.answered_again is not None:
            why = (
                f"{operation.kind} {operation.key} was answered with {operation.answer!r} and, sent again with the same"
                f" key, with {operation.answered_again!r}"
            )
            found = breach(APPLIED_ONCE, Anomaly.DONE_AGAIN, why, operation)
        if found is not None and self._content:
            self._content = False
            self._findings.add(self._user, found)

    def _check_owner(self, operation: Operation) -> None:
        if not own_data.says_whose(operation):
            return
        self._counts.answers_owned += 1
        found = own_data.judge(operation)
        if found is None:
            return
        if self._own_data:
            self._own_data = False
            self._findings.add(self._user, found)
        place = _OBJECT_OF.get(operation.kind)
        if place is not None:
            self._object(place).over = True
