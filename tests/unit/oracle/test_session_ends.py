"""What ended sessions, or kept them alive: told by all that became of sessions, and by nothing that is contradicted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome, Role
from lab.oracle.promises import LOGGED_IN, Anomaly
from lab.oracle.session_ends import session_ends
from lab.record import AnyEvent, Strike, StrikeProved
from lab.run.causes import shown_by_all
from tests.unit.oracle.making import op


def at(
    user: int, device: int, kind: Kind, when: float, *, session: str = "", replica: str = "a", is_refused: bool = False
) -> Operation:
    """One operation of a device that takes a millisecond."""
    return op(
        kind,
        int(when * NS),
        int(when * NS) + NS // 1000,
        user=f"u{user}",
        device=f"u{user}.{device}",
        session=session or f"s{user}.{device}",
        outcome=Outcome.REFUSED if is_refused else Outcome.OK,
        result="401" if is_refused else None,
        replica=replica,
        release="v2",
    )


def lives(user: int, device: int, *times: float, born: float = 0.0) -> list[Operation]:
    """A login, and what is done with its session."""
    return [at(user, device, Kind.LOGIN, born), *(at(user, device, Kind.CART, when) for when in times)]


def refused(history: list[Operation]) -> list[Finding]:
    """One finding for each request that was refused, with the login of its session."""
    logins = {one.session: one for one in history if one.kind is Kind.LOGIN}
    return [_found(Anomaly.FORCED_LOGOUT, logins[one.session], one) for one in history if one.session_rejected]


def _found(anomaly: Anomaly, *witness: Operation) -> Finding:
    last = witness[-1]
    return Finding(promise=LOGGED_IN, anomaly=anomaly, user=last.user, at=last.end, why="", witness=witness)


def told(histories: list[list[Operation]], found: Callable[[list[Operation]], list[Finding]] = refused) -> str:
    history = sorted((one for each in histories for one in each), key=lambda one: one.end)
    return session_ends(found(history), history, [])


STEADY = [lives(user, 1, *range(1, 9)) for user in range(90, 94)]
"""Users to whom nothing happens."""


def test_sessions_that_get_only_so_old() -> None:
    """All that was refused is older than all that was accepted."""
    over = [
        [*lives(user, 1, 1, 2, 3, 4, 5), at(user, 1, Kind.CART, 6 + user / 10, is_refused=True)] for user in range(4)
    ]
    young = [lives(user, 1, 1, 2, 3, 4, 5) for user in range(90, 94)]
    assert told([*over, *young]) == "sessions end 6 s after their login, whatever they are used for"
    assert "after their login" not in told([*over, *STEADY])


def test_sessions_that_nobody_used_for_too_long() -> None:
    """Whatever their age."""
    left = [
        [*lives(user, 1, *range(1, 3 + user)), at(user, 1, Kind.CART, 5.0 + user, is_refused=True)] for user in range(4)
    ]
    assert told([*left, *STEADY]) == "sessions end once nobody has used them for 3 s"
    idle = [lives(user, 1, 1, 7) for user in range(80, 84)]
    assert told([*left, *STEADY, *idle]) == ""


def rivals(kind: Kind, *, outlived: int = 0) -> list[list[Operation]]:
    """Two devices each: what one does at 3 ends the other's session, but for some users."""
    made = []
    for user in range(4 + outlived):
        then = at(user, 1, Kind.CART, 4, is_refused=user < 4)
        own = [at(user, 2, kind, 3)] if kind is Kind.LOGIN else [*lives(user, 2, 2), at(user, 2, kind, 3)]
        made.append([*lives(user, 1, 1, 2), then, *own])
    return made


def test_what_another_device_did() -> None:
    """It ends the session each time, not now and then."""
    assert told(rivals(Kind.LOGIN)) == "a login on one device ends the sessions of the others"
    assert told(rivals(Kind.LOGOUT)) == "a logout on one device ends the sessions of the others"
    assert "logout" not in told([*rivals(Kind.LOGOUT, outlived=9), *STEADY])


@pytest.mark.parametrize(("begins", "fits"), [(3.5, True), (4.5, False)])
def test_what_another_device_did_may_be_answered_late(begins: float, *, fits: bool) -> None:
    """On a busy machine its effect shows before its answer has come; but not before it was asked for."""
    made = rivals(Kind.LOGOUT)
    for of_user in made:
        logout = next(one for one in of_user if one.kind is Kind.LOGOUT)
        tries = (replace(logout.final, begin=int(begins * NS), end=5 * NS),)
        of_user[of_user.index(logout)] = replace(logout, begin=int(begins * NS), end=5 * NS, tries=tries)
    assert (told(made) == "a logout on one device ends the sessions of the others") is fits


def after_logout(user: int, *shown: tuple[str, bool]) -> list[Operation]:
    """A logout at replica `a`, and its session shown again: where, and whether it was refused."""
    end = [*lives(user, 1, 1), at(user, 1, Kind.LOGOUT, 2)]
    later = [
        at(user, 1, Kind.ACCOUNT, 3.0 + number, replica=replica, is_refused=is_refused)
        for number, (replica, is_refused) in enumerate(shown)
    ]
    return [*end, *later]


def taken(history: list[Operation]) -> list[Finding]:
    """One finding for each that was taken after its logout."""
    found = []
    for one in history:
        before = [other for other in history if other.session == one.session and other.end < one.begin]
        logout = next((other for other in before if other.kind is Kind.LOGOUT), None)
        if logout is not None and not one.session_rejected:
            found.append(_found(Anomaly.ALIVE_AFTER_LOGOUT, before[0], logout, one))
    return found


def test_ended_sessions_that_others_know() -> None:
    """Whoever ended it refuses it; a logout that ends nothing is taken there, too."""
    elsewhere = [after_logout(user, ("b", False)) for user in range(4)]
    here = [after_logout(user, ("a", True)) for user in range(10, 16)]
    assert "each has a cache of its own" in told([*elsewhere, *here], taken)
    anywhere = [after_logout(user, ("a", False)) for user in range(10, 16)]
    assert told([*elsewhere, *anywhere], taken) == "a logout ends no session: whoever has its cookies stays logged in"
    assert told([*elsewhere, *anywhere, *here], taken) == ""


def test_ended_sessions_that_come_back() -> None:
    """They had been refused: one is enough."""
    assert "come back" in told([after_logout(1, ("a", True), ("b", False))], taken)
    assert told([after_logout(1, ("b", False))], taken) == ""


@pytest.mark.parametrize("is_struck", [True, False])
def test_a_store_that_forgot_sessions_is_no_limit_of_their_age(is_struck: bool) -> None:
    """All that was refused is older than all that was accepted, since that is what the store forgot."""
    over = [
        [*lives(user, 1, 1, 2, 3, 4, 5), at(user, 1, Kind.CART, 6 + user / 10, is_refused=True)] for user in range(4)
    ]
    young = [lives(user, 1, 1, 2, 3, 4, 5) for user in range(90, 94)]
    history = sorted((one for each in (*over, *young) for one in each), key=lambda one: one.end)
    struck: list[AnyEvent] = [
        Strike(
            at=int(5.5 * NS), strike=1, fault="SIGKILL", victim="store", container="c", slot="", zone="", release="",
            serving=3, role=Role.STORE,
        ),
        StrikeProved(at=int(5.6 * NS), strike=1, hit=True),
    ]  # fmt: skip
    said = shown_by_all(refused(history), history, struck if is_struck else [])
    assert said.startswith("the store came back without" if is_struck else "sessions end 6 s after their login")
    assert session_ends(refused(history), history, [], are_as_old=True) == ""  # all began, and may have ended, at once


def test_a_cache_of_each_replica_is_no_session_that_comes_back() -> None:
    """Whoever ended it refuses it, and every other takes it, though it was refused before."""
    shown = [("a", True), ("b", False), ("c", False)]
    assert "each has a cache of its own" in told([after_logout(user, *shown) for user in range(12)], taken)
    back = [("a", True), ("a", False), ("b", False)]
    assert "come back" in told([after_logout(user, *back) for user in range(12)], taken)
