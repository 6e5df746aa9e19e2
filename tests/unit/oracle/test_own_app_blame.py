"""The patterns behind what hurt users of somebody's own app."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome, Try
from lab.oracle.own_app_blame import own_app_cause
from lab.oracle.promises import CLEAN_STOPS, LOGGED_IN, OWN_DATA, STATE_KEPT, TRIES, Anomaly
from lab.record import AppStopped, Step
from tests.unit.oracle.making import op

EVENTS = [
    Step(at=0, action="enter", slot="a1", replica="a1-1", release="v1", why="first"),
    Step(at=10 * NS, action="start", slot="a1", replica="a1-2", release="v2", why="upgrade"),
]
HURT = [Finding(promise=TRIES, anomaly=str(Anomaly.REFUSED), user="u", at=1, why="")]


def asked(at: float, path: str, by: str, result: str = "200", *, user: str = "u", **more: Any) -> Operation:
    kind = Kind.READ if path.startswith("GET") else Kind.ACT
    good = Outcome.OK if result < "4" else Outcome.REFUSED
    replica, _, release = by.partition("/")
    begin = int(at * NS)
    return op(
        kind, begin, begin + 1000, argument=path, outcome=good, result=result, user=user, device=f"{user}.1",
        replica=replica, release=release or "v1", **more,
    )  # fmt: skip


def forms(replicas: Iterable[tuple[str, str]], *, refuses: bool) -> list[Operation]:
    """A form from one replica, sent to another one or the same."""
    told: list[Operation] = []
    for number, (made, took) in enumerate(replicas):
        bad = refuses and made != took
        told += [
            asked(number, "GET /form", made),
            asked(number + 0.5, "POST /form (to /x)", took, "403" if bad else "302"),
        ]
    return told


PAIRS = [("a1-1", "b1-1"), ("a1-1", "a1-1"), ("b1-1", "a1-1"), ("b1-1", "b1-1"), ("a1-1", "b1-1")]


def test_forms_that_only_their_own_maker_takes() -> None:
    """A secret that each replica draws for itself; where forms pass, 403 has another reason."""
    cause = own_app_cause(HURT, EVENTS, forms(PAIRS, refuses=True))
    assert cause.startswith(
        "forms are refused with 403 by another replica than the one that made them, as by b1-1 after"
    )
    passing = [
        asked(20 + n, path, by) for n in range(3) for path, by in (("GET /form", "a1-1"), ("POST /form", "b1-1"))
    ]
    assert own_app_cause(HURT, EVENTS, [*forms(PAIRS, refuses=True), *passing]) == ""
    assert own_app_cause(HURT, EVENTS, forms(PAIRS, refuses=False)) == ""
    assert own_app_cause([], EVENTS, forms(PAIRS, refuses=True)) == ""


SIGNAL = AppStopped(at=5 * NS, replica="a1-1", slot="a1", service="web", signal="SIGTERM", grace=3, heard=6 * NS)
CUT = Finding(promise=CLEAN_STOPS, anomaly=str(Anomaly.CUT_BY_STOP), user="u", at=6 * NS, why="web cut 4 requests")


@pytest.mark.parametrize(
    ("begin", "slot", "more", "fits"),
    [
        (4, "a1", [], True),
        (4, "b1", [], False),
        (7, "a1", [], False),
        (4, "a1", [Finding(promise=STATE_KEPT, anomaly=str(Anomaly.LOST_WRITE), user="u", at=1, why="")], False),
    ],
)
def test_an_app_that_cuts_what_it_has_at_its_signal(begin: int, slot: str, more: list[Finding], *, fits: bool) -> None:
    """Where that explains all: what nobody answered was in it when it got its signal."""
    one = Try(begin * NS, 9 * NS, "502", edge=(slot,))
    act = op(Kind.ACT, one.begin, one.end, outcome=Outcome.UNKNOWN, tries=(one,))
    lost = Finding(promise=TRIES, anomaly=str(Anomaly.NOT_ANSWERED), user="u", at=9 * NS, why="", witness=(act,))
    cause = own_app_cause([lost, CUT, *more], [SIGNAL], [act])
    assert cause.startswith("web ends at SIGTERM without answering what it has") is fits


def test_where_nothing_was_cut_nothing_is_said_of_the_signal() -> None:
    """Though requests were in it that nobody answered."""
    one = Try(4 * NS, 9 * NS, "502", edge=("a1",))
    act = op(Kind.ACT, one.begin, one.end, outcome=Outcome.UNKNOWN, tries=(one,))
    lost = Finding(promise=TRIES, anomaly=str(Anomaly.NOT_ANSWERED), user="u", at=9 * NS, why="", witness=(act,))
    assert own_app_cause([lost], [SIGNAL], [act]) == ""


LEAK = "what was answered to one user is answered to another: it is kept without telling users apart"


@pytest.mark.parametrize(
    ("by", "at", "where"),
    [("a1-1", 8, ", in a cache or a variable"), ("b1-1", 8, " (a cache, a"), ("a1-1", 1, " (a cache, a")],
)
def test_an_answer_that_is_given_to_somebody_else(by: str, at: int, where: str) -> None:
    """By the replica that had just given it to its owner, or by whoever stands before all."""
    owner = replace(seen(at, by, ["user-018.1"], ["user-018.1"]), user="user-018")
    read = replace(seen(9, "a1-1", ["user-018.1"], ["user-010.1"]), user="user-010")
    leak = Finding(
        promise=OWN_DATA, anomaly=str(Anomaly.LEAK), user="user-010", at=read.end, witness=(read,),
        why="'user-018.1' belongs to user-018, and is shown to user-010",
    )  # fmt: skip
    assert own_app_cause([leak], [], [owner, read]).startswith(LEAK + where)


BEFORE = [asked(n, "GET /cart", "a1-1/v1") for n in range(5)]
OLD_FAILS = [asked(11 + n, "GET /cart", "b1-1/v1", "500") for n in range(4)]
NEW_FAILS = [asked(11 + n, f"GET /cart/{n}?x={n}", "a1-2/v2", "500") for n in range(4)]
NEW_USERS = [asked(15 + n, "GET /cart/7", "a1-2/v2", user="new") for n in range(3)]


@pytest.mark.parametrize(
    ("history", "cause"),
    [
        ([*BEFORE, *OLD_FAILS], "v1 fails GET /cart since v2 has started: v2 changed what both share (schema)"),
        ([*BEFORE, *OLD_FAILS, asked(20, "GET /cart", "b1-1/v1")], ""),
        (OLD_FAILS, ""),
        ([*BEFORE, *(replace(one, turned_away=True) for one in OLD_FAILS)], ""),
        ([*BEFORE, *NEW_FAILS], "v2 fails GET /cart/* whoever asks: it is broken by itself"),
        (
            [*BEFORE, *NEW_FAILS, *NEW_USERS],
            "v2 fails those whom v1 had served first: it does not read what v1 wrote (formats)",
        ),
        ([*BEFORE, *NEW_FAILS, asked(15, "GET /cart/7", "a1-2/v2")], ""),
        ([*BEFORE, *OLD_FAILS, *NEW_FAILS], ""),
        ([*BEFORE, *OLD_FAILS[:2]], ""),
    ],
)
def test_what_one_release_fails_and_the_other_does_not(history: list[Operation], cause: str) -> None:
    """By when it began, and whom it hurts; where something contradicts it nothing is claimed."""
    assert own_app_cause(HURT, EVENTS, history) == cause


@pytest.mark.parametrize(
    ("device", "release", "at", "fits"),
    [("u.2", "v2", 8, True), ("u.2", "v1", 8, False), ("u.1", "v2", 8, False), ("u.2", "v2", 2, False)],
)
def test_a_login_on_the_other_release_logs_the_first_browser_out(
    device: str, release: str, at: int, fits: bool
) -> None:
    """Only one that another device of the account did in between, on another release than the session's."""
    mine = op(Kind.LOGIN, 5 * NS, 6 * NS, session="u/1#1", replica="a1-1", release="v1")
    gone = replace(asked(11, "GET /cart", "b1-1/v1", "302"), session="u/1#1", turned_away=True, outcome=Outcome.REFUSED)
    other = op(Kind.LOGIN, at * NS, at * NS + 1, device=device, session="u/2#1", replica="b1-2", release=release)
    logout = Finding(
        promise=LOGGED_IN, anomaly=str(Anomaly.FORCED_LOGOUT), user="u", at=gone.end, why="", witness=(mine, gone)
    )
    cause = own_app_cause([logout], EVENTS, sorted([mine, other, gone], key=lambda one: one.end))
    assert cause == ("a login on the other release changed what the session is bound to" if fits else "")


@pytest.mark.parametrize(
    ("devices", "is_known_elsewhere", "fits"), [(2, True, True), (2, False, False), (1, True, False)]
)
def test_a_second_browser_that_ends_the_first_one_s_session(devices: int, is_known_elsewhere: bool, fits: bool) -> None:
    """Where another device logged in before each logout, and sessions are not each replica's own."""
    told: list[Operation] = []
    logouts: list[Finding] = []
    for number in range(3):
        user, start = f"u{number}", 10 * number
        mine = op(
            Kind.LOGIN, (start + 1) * NS, (start + 1) * NS + 1, user=user, device=f"{user}.1", session=f"{user}/1#1",
            replica="a1-1", release="v1",
        )  # fmt: skip
        read = asked(start + 2, "GET /cart", "b1-1" if is_known_elsewhere else "a1-1", user=user)
        other = op(
            Kind.LOGIN, (start + 3) * NS, (start + 3) * NS + 1, user=user, device=f"{user}.{devices}", replica="b1-1",
            session=f"{user}/2#1", release="v1",
        )  # fmt: skip
        gone = asked(start + 4, "GET /cart", "b1-1", "302", user=user)
        gone = replace(gone, session=mine.session, turned_away=True, outcome=Outcome.REFUSED)
        told += [mine, read, other, gone]
        logouts.append(
            Finding(
                promise=LOGGED_IN,
                anomaly=str(Anomaly.FORCED_LOGOUT),
                user=user,
                at=gone.end,
                why="",
                witness=(mine, gone),
            )
        )
    ends = "a login on another device ends the session of the first: the app keeps one for each account"
    assert (own_app_cause(logouts, EVENTS, told) == ends) is fits


def seen(at: float, by: str, answer: list[str], *allowed: list[str]) -> Operation:
    read = op(Kind.STATE, int(at * NS), int(at * NS), answer=answer, replica=by, release="v1")
    return replace(read, allowed=allowed, is_conclusion=True)


def missed_by(reader: str, taker: str, *, heals: bool, shows: str = "") -> list[Operation]:
    """Three times something is written to one replica, missed by another, and shown by it later or never; a third one
    may have shown it before. At last one misses it that is never asked again."""
    told: list[Operation] = []
    notes: list[str] = []
    for number in range(3):
        at, before = 20.0 * number, list(notes)
        notes.append(f"n{number}")
        told += [
            asked(at, "POST /add", taker),
            *([seen(at + 0.5, shows, list(notes), list(notes))] if shows else []),
            seen(at + 1, reader, before, list(notes)),
            seen(at + 9, reader, list(notes) if heals else before, before),
        ]
    return [*told, asked(60, "POST /add", taker), seen(61, f"{reader}0", notes, [*notes, "last"])]


@pytest.mark.parametrize(
    ("reader", "shows", "heals", "cause"),
    [
        ("b1-1", "c1-1", True, "a replica shows only later what another one had shown already: each has a cache"),
        ("b1-1", "", True, "what was acknowledged shows only later: the app does it in the background"),
        ("a1-1", "", True, "what was acknowledged shows only later: the app does it in the background"),
        ("b1-1", "c1-1", False, ""),
    ],
)
def test_what_is_shown_later_was_not_lost(reader: str, shows: str, heals: bool, cause: str) -> None:
    """By the very replica that had missed it: memory of its own never heals. What had been shown is not late."""
    lost = [Finding(promise=STATE_KEPT, anomaly=str(Anomaly.LOST_WRITE), user="u", at=1, why="")]
    told = own_app_cause(lost, EVENTS, missed_by(reader, "a1-1", heals=heals, shows=shows))
    assert told.startswith(cause)
    assert bool(told) == bool(cause)


def test_a_read_that_showed_no_state_missed_nothing_that_a_cache_had() -> None:
    """What it says instead is why: an answer that is no state."""
    lost = [Finding(promise=STATE_KEPT, anomaly=str(Anomaly.LOST_WRITE), user="u", at=1, why="")]
    told = missed_by("b1-1", "a1-1", heals=True, shows="c1-1")
    assert own_app_cause(lost, EVENTS, told)
    silent = [
        replace(one, answer="no state was shown: KeyError('notes')")
        if one.kind is Kind.STATE and one.answer not in (one.allowed or ())
        else one
        for one in told
    ]
    assert own_app_cause(lost, EVENTS, silent) == ""
