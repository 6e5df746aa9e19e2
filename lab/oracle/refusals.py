"""Whether an app refused what its user may do: a refusal is forgiven only where the user's own doings explain it."""

from __future__ import annotations

from collections import deque

from lab.clock import NS
from lab.model import Kind, Operation, Outcome

CART_HOLDS = 500
"""Lines that the shop's cart takes; more are refused with 409."""
AT_ONCE = 8
"""Lines that other devices of the account may have put in meanwhile, and that nobody has told of yet."""
LOCKED_FOR = 60.0
"""Seconds after wrong passwords in which the shop may refuse a login with 429."""
LOGINS_ALLOWED = 8
"""Logins within that time after which it may do so too: ten, less those that are still under way."""

_OWN_KINDS = frozenset({Kind.ACT, Kind.READ})
_ADD, _CHECKOUT, _REMOVE, _LOGIN, _INTRUDE = Kind.ADD, Kind.CHECKOUT, Kind.REMOVE, Kind.LOGIN, Kind.INTRUDE
_OK = Outcome.OK


class Refusals:
    """Fed with every operation as it ends. Memory grows with the users."""

    __slots__ = ("_failed_logins", "_in_cart", "_known", "_logins")

    def __init__(self) -> None:
        self._known: set[str] = set()
        """Who was let in before."""
        self._in_cart: dict[str, int] = {}
        """How many lines each user's cart may hold at most."""
        self._logins: dict[str, deque[int]] = {}
        """When each user last logged in."""
        self._failed_logins: dict[str, deque[int]] = {}
        """When each user's last tries to log in ended that may have counted as failed."""

    def is_wrong(self, operation: Operation) -> bool:
        """Take in an operation, and say whether the app refused by a 4xx what this user may do.

        A session that is refused is for `logged_in` to judge, and without one 401 is the right answer. A login is held
        against the app only once it has let the user in: before, the account may be somebody else's. Of somebody's
        own app what its journey expects is ok, what makes up its login is for the journey alone, and after a try that
        nobody knows the effect of the app may rightly say that it has been done.
        """
        kind, outcome = operation.kind, operation.outcome
        if outcome is _OK:
            self._note_done(kind, operation)
            return operation.repeats > 0 and _is_refusal(operation.final.result) and not operation.session_rejected
        if kind is _ADD and outcome is Outcome.UNKNOWN:
            self._in_cart[operation.user] = self._in_cart.get(operation.user, 0) + 1
        is_wrong = _is_refusal(operation.final.result) and self._is_against_the_app(operation)
        if kind is _LOGIN or kind is _INTRUDE:
            failed = self._failed_logins.setdefault(operation.user, deque(maxlen=LOGINS_ALLOWED))
            failed.extend(one.end for one in operation.tries)
        return is_wrong

    def _note_done(self, kind: Kind, operation: Operation) -> None:
        if kind is _ADD:
            self._in_cart[operation.user] = self._in_cart.get(operation.user, 0) + 1
        elif kind is _CHECKOUT and operation.answer:
            self._in_cart[operation.user] = max(0, self._in_cart.get(operation.user, 0) - len(operation.answer))
        elif kind is _REMOVE and operation.answer:
            self._in_cart[operation.user] = max(0, self._in_cart.get(operation.user, 0) - 1)
        elif kind is _LOGIN:
            self._known.add(operation.user)
            self._logins.setdefault(operation.user, deque(maxlen=LOGINS_ALLOWED)).append(operation.end)

    def _is_against_the_app(self, operation: Operation) -> bool:
        kind, result = operation.kind, operation.final.result
        if kind is _INTRUDE:
            return result not in {"401", "429"}
        if kind is _LOGIN:
            return operation.user in self._known and not (result == "429" and self._is_locked_out(operation))
        if kind is Kind.BROWSE:
            return operation.session is not None
        if kind is _ADD and result == "409":
            return self._in_cart.get(operation.user, 0) < CART_HOLDS - AT_ONCE
        return not operation.session_rejected and (kind not in _OWN_KINDS or operation.outcome is Outcome.REFUSED)

    def _is_locked_out(self, operation: Operation) -> bool:
        """Whether there were wrong passwords, or many tries that may have counted as such, shortly before."""
        since = operation.end - int(LOCKED_FOR * NS)
        logins = self._logins.get(operation.user, ())
        if len(logins) == LOGINS_ALLOWED and min(logins) >= since:
            return True  # again and again; why, is for others to judge
        return any(at >= since for at in self._failed_logins.get(operation.user, ()))


def _is_refusal(result: str) -> bool:
    return result[0] == "4"
