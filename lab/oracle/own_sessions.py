"""Who takes the sessions of somebody's own app, and who refuses them: the replica that made one, its release, or all.

From outside a session that lives in one replica's memory, in its files, or behind a secret of its own looks the same:
it is taken where it was made and nowhere else. Only where the cookie itself reads as a signed session is one likelier.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from lab.model import Finding, Kind, Operation, Outcome
from lab.oracle.promises import LOGGED_IN

LEAST = 3
"""Refusals from which on they say something."""
EXCEPTIONS = 0.1
"""So many acceptances for each refusal at most are forgiven: a session may have been made anew without a login."""
HERE, WITHIN, ACROSS = "here", "within", "across"
"""Where a session is shown: to the replica that made it, to another one of its release, to one of another release."""


class _Session:
    __slots__ = ("release", "replica")

    def __init__(self, replica: str | None, release: str | None) -> None:
        self.replica, self.release = replica, release


class OwnSessions:
    """Fed with everything in order; memory grows with the sessions."""

    def __init__(self) -> None:
        self._made: dict[str, _Session] = {}
        self._taken: Counter[tuple[str, str, str]] = Counter()
        self._refused: Counter[tuple[str, str, str]] = Counter()
        """By where it was shown, the release that had made the session, and the one that was asked."""
        self._cookies: dict[str, Mapping[str, bool]] = {}
        """Those that each release's logins leave."""

    def note(self, operation: Operation) -> None:
        """The next operation."""
        alias, last = operation.session, operation.final
        if alias is None or operation.kind is Kind.BROWSE:  # a page for everybody takes no session
            return
        if operation.kind is Kind.LOGOUT:
            self._made.pop(alias, None)  # what an ended session is good for is another matter
            return
        if operation.kind is Kind.LOGIN:
            self._made[alias] = _Session(last.replica, last.release)
            if operation.cookies is not None and last.release is not None:
                self._cookies.setdefault(last.release, operation.cookies)
            return
        session = self._made.get(alias)
        is_refused = operation.session_rejected
        if session is None or session.replica is None or last.replica is None or operation.is_conclusion:
            return
        if not is_refused and operation.outcome is not Outcome.OK:
            return
        where = HERE if last.replica == session.replica else WITHIN if last.release == session.release else ACROSS
        told = self._refused if is_refused else self._taken
        told[where, str(session.release), str(last.release)] += 1

    def cause(self, findings: Sequence[Finding]) -> str:
        """Why sessions were refused, as far as it can be told; empty where that does not go by who had made them."""
        if not any(one.promise == LOGGED_IN for one in findings):
            return ""
        refused = self._refused.total()
        if self._count(self._refused, HERE) > EXCEPTIONS * refused:
            return ""  # whoever made one refuses it, too
        if self._is_never_taken(WITHIN):
            return f"a session is taken by the replica alone that made it: {self._kept('each replica')}"
        pairs = sorted({key[1:] for key in self._refused if key[0] == ACROSS and self._is_never_taken(*key)})
        across = sum(self._refused[ACROSS, made, asked] for made, asked in pairs)
        if not pairs or across < (1 - EXCEPTIONS) * refused:
            return ""
        if self._count(self._taken, WITHIN) < LEAST:
            own = self._kept("each replica or release")
            return f"no session was taken by another replica than the one that made it, and all have gone: {own}"
        return self._by_release(pairs)

    def _by_release(self, pairs: Sequence[tuple[str, str]]) -> str:
        made, asked = pairs[0]
        told = f"{asked} refuses the sessions that {made} made"
        if (asked, made) in pairs:
            told += " and the reverse"
        mine, others = (set(self._cookies.get(name, {})) for name in (made, asked))
        if mine - others and others - mine:
            return f"{told}: they are in other cookies ({_names(mine - others)}; in {asked} {_names(others - mine)})"
        if self._are_signed({made, asked}):
            return f"{told}: each release signs them with a secret of its own, or they hold what the other can't read"
        return f"{told}: each release has a secret of its own, another format, or another place for them"

    def _kept(self, whose: str) -> str:
        releases = {made for _, made, _ in self._refused}
        if self._are_signed(releases):
            names = {name for release in releases for name in self._cookies[release]}
            return f"{whose} signs them with a secret of its own (the cookie {_names(names)} holds a signed session)"
        return f"{whose} keeps them in its memory or files, or signs them with a secret of its own"

    def _are_signed(self, releases: Collection[str]) -> bool:
        """Whether a signed session is all that a login leaves, so that there is nothing to find in a memory."""
        left = [self._cookies.get(name, {}) for name in releases]
        return bool(left) and all(cookies and all(cookies.values()) for cookies in left)

    def _is_never_taken(self, *where: str) -> bool:
        refused = self._count(self._refused, *where)
        return refused >= LEAST and self._count(self._taken, *where) <= EXCEPTIONS * refused

    @staticmethod
    def _count(told: Counter[tuple[str, str, str]], *where: str) -> int:
        return sum(count for key, count in told.items() if key[: len(where)] == where)


def _names(cookies: Collection[str]) -> str:
    return ", ".join(sorted(cookies)[:3])
