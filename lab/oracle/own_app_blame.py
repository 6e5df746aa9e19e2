"""What explains that users of somebody's own app were hurt, told by all that they did and not by the proofs alone.

Each sentence is named only where nearly all that failed fits it and nothing that went well contradicts it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome, Value
from lab.oracle.own_formats import OwnFormats
from lab.oracle.own_places import OwnPlaces
from lab.oracle.own_sessions import OwnSessions
from lab.oracle.own_state import leaves
from lab.oracle.promises import LOGGED_IN, STATE_KEPT, TRIES, Anomaly
from lab.oracle.scattered_logins import login_words
from lab.record import AnyEvent, AppStopped, CommandBegan, Step

T = TypeVar("T")
KEPT_FOR = 5 * NS
"""Nanoseconds for which an answer may be kept that is given to somebody else."""
_OWNER = re.compile(r"belongs to (\S+),")
FITS = 0.9
"""The share of what failed that a pattern must fit."""
ENOUGH = 3
"""So many failures at least make a pattern."""
_FORGERY = frozenset({"403", "419", "422"})
"""What frameworks answer to a token that they did not make."""
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "busybox", "zsh"})
_REFUSED = frozenset({Kind.ACT, Kind.READ})


class _Answer(Value, kw_only=False, gc=False):
    """How one request was answered, and what the user had met before."""

    operation: Operation
    replica: str
    release: str | None
    is_good: bool
    by_before: str | None
    """The replica that answered this user's request just before, if that was well."""
    first_release: str | None
    """The release that the user met first."""
    made_by: str | None
    """The replica that made its session."""

    @property
    def at(self) -> int:
        return self.operation.end


def own_app_cause(findings: Sequence[Finding], events: Sequence[AnyEvent], history: Iterable[Operation]) -> str:
    """The likely pattern behind the findings; empty where none is known."""
    if not findings:
        return ""
    at_once = _kept_out(findings) or _deaf_to_signals(findings, events) or _cut_at_its_signal(findings, events)
    if at_once:
        return at_once
    logins: dict[str, list[Operation]] = {}
    late, sessions, served, places, formats = _LateShown(), OwnSessions(), _Served(), OwnPlaces(events), OwnFormats()
    answers = list(_answers(_also_to((late, sessions, served, places, formats), history), logins))
    logouts = [one for one in findings if one.anomaly == Anomaly.FORCED_LOGOUT]
    by_whom = _bound_elsewhere(logouts, logins) or _ended_by_another(logouts, logins, answers)
    by_whom = by_whom or sessions.cause(findings) or _shared_between_users(findings, served)
    if by_whom:
        return by_whom
    of_state = late.cause or places.cause or formats.cause
    if of_state and any(one.anomaly in {Anomaly.LOST_WRITE, Anomaly.CONTRADICTION} for one in findings):
        return of_state
    failed = [one for one in answers if not one.is_good]
    if len(failed) < ENOUGH or not any(one.promise in {TRIES, LOGGED_IN, STATE_KEPT} for one in findings):
        return ""
    good = [one for one in answers if one.is_good]
    began = _began(events)
    return _forged(failed, good) or _by_release(failed, good, began) or formats.cause


def _kept_out(findings: Sequence[Finding]) -> str:
    found = next((one for one in findings if one.anomaly == Anomaly.KEPT_OUT), None)
    if found is None:
        return ""
    return f"{login_words(found.witness)}: sessions live in the instance, or are signed with a secret of its own"


def _deaf_to_signals(findings: Sequence[Finding], events: Sequence[AnyEvent]) -> str:
    """Why an app did not end when it was told to, where nothing else is wrong and all of them ran the same process 1.

    Linux sends process 1 of a container no signal for which it has no handler, and a shell passes none on.
    """
    if any(one.anomaly != Anomaly.IGNORED_SIGNAL for one in findings):
        return ""
    told = {(one.process, one.signal) for one in events if isinstance(one, AppStopped)}
    if len(told) != 1:
        return ""
    [(process, signal)] = told
    if process in _SHELLS:
        return (
            f"process 1 is {process}, which passes no {signal} on to the app: write its command as a JSON list, or"
            " begin it with exec"
        )
    if process:
        return f"process 1 is {process}, and has no handler for {signal}: as process 1 nothing ends without one"
    return ""


def _cut_at_its_signal(findings: Sequence[Finding], events: Sequence[AnyEvent]) -> str:
    """Was nearly all that was not answered in an app that got its stop signal, and cuts off what it has?"""
    stops = [one for one in events if isinstance(one, AppStopped)]
    cut = [one for one in findings if one.anomaly == Anomaly.CUT_BY_STOP]
    others = [one for one in findings if one.promise == TRIES]
    if not stops or not cut or len(cut) + len(others) < len(findings):
        return ""
    if others and _share(others, lambda one: any(_was_in(one, stop) for stop in stops)) < FITS:
        return ""
    return (
        f"{stops[0].service} ends at {stops[0].signal} without answering what it has: it should take nobody in any"
        " more, answer, and then end"
    )


def _was_in(finding: Finding, stop: AppStopped) -> bool:
    """Whether one of its requests was in the app when that was told to stop, and not answered by it."""
    return any(
        stop.slot in one.edge and one.replica is None and one.begin <= max(stop.at, stop.heard) and one.end >= stop.at
        for operation in finding.witness
        for one in operation.tries
    )


class _Missed:
    """What a read did not show, and when its replica was asked by this user then and last."""

    __slots__ = ("asked", "at", "what")

    def __init__(self, what: frozenset[bytes], at: int) -> None:
        self.what, self.at, self.asked = what, at, at


class _LateShown:
    """Fed with everything in order: were changes that a read missed shown later by the very replica that missed them?

    A replica that keeps state in its memory never shows what another one wrote. One that was not asked again for as
    long as others took to show it says nothing.
    """

    def __init__(self) -> None:
        self._taker: dict[str, str | None] = {}
        self._shown: dict[str, set[bytes]] = {}
        """All that each user was ever shown."""
        self._missed: dict[tuple[str, str | None], list[_Missed]] = {}
        self._count = self._healed = self._elsewhere = self._again = self._longest = 0

    def note(self, operation: Operation) -> None:
        by = operation.final.replica
        if operation.kind is Kind.ACT and operation.outcome is Outcome.OK:
            self._taker[operation.user] = by
        if operation.kind is not Kind.STATE or _shows_none(operation):
            return
        shown = leaves(operation.answer)
        before = self._shown.setdefault(operation.user, set())
        waiting = self._missed.get((operation.user, by), [])
        for one in waiting:
            one.asked = operation.begin
            if one.what <= shown:
                self._healed += 1
                self._longest = max(self._longest, one.asked - one.at)
        if waiting:
            self._missed[operation.user, by] = [one for one in waiting if not one.what <= shown]
        allowed = operation.allowed
        missing = leaves(allowed[-1]) - shown if allowed and operation.answer not in allowed else frozenset()
        if missing:
            self._count += 1
            self._elsewhere += self._taker.get(operation.user) != by
            self._again += bool(missing & before)
            self._missed.setdefault((operation.user, by), []).append(_Missed(missing, operation.begin))
        before |= shown

    @property
    def cause(self) -> str:
        stayed = [one for waiting in self._missed.values() for one in waiting if one.asked - one.at > self._longest]
        if self._healed < ENOUGH or len(stayed) > (1 - FITS) * self._healed:
            return ""
        if self._elsewhere >= FITS * self._count and self._again >= ENOUGH:
            return "a replica shows only later what another one had shown already: each has a cache of its own"
        return (
            "what was acknowledged shows only later: the app does it in the background (users.http.within, or within)"
        )


def _shows_none(read: Operation) -> bool:
    """Whether it is in words why no state was shown."""
    return isinstance(read.answer, str) and read.allowed is not None and not isinstance(read.allowed[-1], str)


class _Served:
    """When each replica last showed each user what is that user's."""

    def __init__(self) -> None:
        self._by: dict[tuple[str, str | None], list[int]] = {}

    def note(self, operation: Operation) -> None:
        if operation.kind is Kind.STATE:
            self._by.setdefault((operation.user, operation.final.replica), []).append(operation.end)

    def just_before(self, user: str, replica: str | None, at: int) -> bool:
        """Whether this one did, not long before."""
        return any(0 <= at - end <= KEPT_FOR for end in self._by.get((user, replica), ()))


def _shared_between_users(findings: Sequence[Finding], served: _Served) -> str:
    """Was nearly each that was shown to somebody else just answered to its owner, and by the same replica?"""
    leaks = [one for one in findings if one.anomaly == Anomaly.LEAK and one.witness]
    if not leaks or len(leaks) < FITS * len(findings):
        return ""
    told = "what was answered to one user is answered to another: it is kept without telling users apart"
    by_itself = _share(
        leaks, lambda one: served.just_before(_OWNER.findall(one.why)[0], one.witness[-1].final.replica, one.at)
    )
    return f"{told}, in a cache or a variable of each replica" if by_itself >= FITS else f"{told} (a cache, a proxy)"


class _Listens(Protocol):
    def note(self, operation: Operation) -> None: ...


def _also_to(those: Sequence[_Listens], history: Iterable[Operation]) -> Iterator[Operation]:
    for operation in history:
        for one in those:
            one.note(operation)
        yield operation


def _answers(history: Iterable[Operation], logins: dict[str, list[Operation]]) -> Iterator[_Answer]:
    """Every answer of the app between a login and a logout, and in `logins` each user's logins."""
    before: dict[str, str | None] = {}
    first: dict[str, str] = {}
    made: dict[str, str | None] = {}
    ended: set[str] = set()
    for operation in history:
        final = operation.final
        if operation.kind is Kind.LOGOUT and operation.session is not None:
            ended.add(operation.session)
        if operation.kind is Kind.LOGIN and operation.outcome is Outcome.OK:
            logins.setdefault(operation.user, []).append(operation)
            made[operation.device] = final.replica
        if operation.is_conclusion or final.replica is None or operation.session in ended:
            continue  # an ended session is to be refused
        if final.release is not None:
            first.setdefault(operation.user, final.release)
        is_good = operation.outcome is Outcome.OK and not operation.turned_away
        if operation.kind in _REFUSED:
            last, start = before.get(operation.device), first.get(operation.user)
            maker = made.get(operation.device)
            yield _Answer(operation, final.replica, final.release, is_good, last, start, maker)
        before[operation.device] = final.replica if is_good else None


def _bound_elsewhere(logouts: Sequence[Finding], logins: dict[str, list[Operation]]) -> str:
    """Did another device of the account log in, on another release than the session's, just before it was gone?"""
    if not logouts:
        return ""
    if _share(logouts, lambda one: any(_is_moved(one, login) for login in _between(one, logins))) < FITS:
        return ""
    return "a login on the other release changed what the session is bound to"


def _is_moved(logout: Finding, login: Operation) -> bool:
    return login.final.release != logout.witness[0].final.release


def _ended_by_another(
    logouts: Sequence[Finding], logins: dict[str, list[Operation]], answers: Sequence[_Answer]
) -> str:
    """Did another device of the account log in just before, though sessions are known wherever they are shown?"""
    if len(logouts) < ENOUGH or _share(logouts, lambda one: bool(_between(one, logins))) < FITS:
        return ""
    if not any(one.is_good and one.made_by not in {None, one.replica} for one in answers):
        return ""  # each may be known to its own replica alone
    return "a login on another device ends the session of the first: the app keeps one for each account"


def _between(logout: Finding, logins: dict[str, list[Operation]]) -> list[Operation]:
    """The logins of the account's other devices since the session had been made."""
    mine, rejected = logout.witness[0], logout.witness[-1]
    return [
        login
        for login in (logins.get(logout.user, ()) if mine.kind is Kind.LOGIN else ())
        if login.device != rejected.device and mine.end <= login.begin <= rejected.end
    ]


def _forged(failed: Sequence[_Answer], good: Sequence[_Answer]) -> str:
    """Were forms refused where another replica had made them, and taken where the same one had?"""
    refused = [one for one in failed if one.operation.kind is Kind.ACT and one.operation.final.result in _FORGERY]
    if len(refused) < FITS * len(failed):
        return ""
    told = [one for one in refused if one.by_before is not None]
    if len(told) < ENOUGH or _share(told, lambda one: one.by_before != one.replica) < FITS:
        return ""
    taken = [one for one in good if one.operation.kind is Kind.ACT and one.by_before is not None]
    if _share(taken, lambda one: one.by_before != one.replica) > 1 - FITS:
        return ""  # forms do pass from one replica to another
    status = Counter(one.operation.final.result for one in told).most_common(1)[0][0]
    first = told[0]
    return (
        f"forms are refused with {status} by another replica than the one that made them, as by {first.replica} after"
        f" {first.by_before}: each makes its tokens with a secret of its own"
    )


def _by_release(failed: Sequence[_Answer], good: Sequence[_Answer], began: dict[str, int]) -> str:
    """Does one release fail what the other one does not?"""
    releases = sorted(began, key=began.__getitem__)
    if len(releases) < 2:
        return ""
    old, new = releases[0], releases[-1]
    if _share(failed, lambda one: one.release == old and one.at >= began[new]) >= FITS:
        return _schema(old, new, failed, [one for one in good if one.release == old], began[new])
    if _share(failed, lambda one: one.release == new) < FITS:
        return ""
    asked = _paths(failed)
    well = [one for one in good if one.release == new and _path(one) in asked]
    if not well:
        return f"{new} fails {_most(failed)} whoever asks: it is broken by itself"
    are_old = _share(failed, lambda one: one.first_release == old) >= FITS
    if are_old and _share(well, lambda one: one.first_release == new) >= FITS:
        return f"{new} fails those whom {old} had served first: it does not read what {old} wrote (formats)"
    return ""


def _schema(old: str, new: str, failed: Sequence[_Answer], good: Sequence[_Answer], since: int) -> str:
    if _share(failed, lambda one: one.operation.turned_away or one.operation.session_rejected) > 1 - FITS:
        return ""  # whoever is sent to the login page met no schema
    asked = _paths(failed)
    if not any(one.at < since and _path(one) in asked for one in good):
        return ""
    if any(one.at > max(other.at for other in failed) and _path(one) in asked for one in good):
        return ""  # it went well again while the new one was still there
    return f"{old} fails {_most(failed)} since {new} has started: {new} changed what both share (schema)"


def _began(events: Iterable[AnyEvent]) -> dict[str, int]:
    """When each release began: with its first replica, or with what was run before that, such as a migration."""
    began: dict[str, int] = {}
    prepared: int | None = None
    for event in events:
        if isinstance(event, CommandBegan):
            prepared = event.at
        elif isinstance(event, Step) and event.action in {"create", "start", "enter"}:
            if event.release not in began:
                began[event.release] = event.at if prepared is None else prepared
            prepared = None
    return began


def _path(one: _Answer) -> str:
    """The request's method and path, without a query and without what differs from user to user."""
    asked = str(one.operation.argument or "").partition(" (to ")[0].partition("?")[0]
    return "/".join("*" if any(sign.isdigit() for sign in part) else part for part in asked.split("/"))


def _paths(answers: Iterable[_Answer]) -> Collection[str]:
    return {_path(one) for one in answers}


def _most(answers: Iterable[_Answer]) -> str:
    return Counter(_path(one) for one in answers).most_common(1)[0][0]


def _share(those: Sequence[T], fits: Callable[[T], bool]) -> float:
    return sum(1 for one in those if fits(one)) / len(those) if those else 0.0
