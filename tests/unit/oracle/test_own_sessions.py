"""Whose sessions somebody's own app takes: any replica's, those of one release, or each its own alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import pytest
from msgspec.structs import replace

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome
from lab.oracle.own_app_blame import own_app_cause
from lab.oracle.promises import LOGGED_IN, TRIES, Anomaly
from tests.unit.oracle.making import op

OLD, NEW = ("a1-1/v1", "b1-1/v1"), ("a1-2/v2", "b1-2/v2")
SHOWN = op(Kind.READ, 1, 2, replica="a1-1", release="v1")
MADE = Finding(promise=LOGGED_IN, anomaly=str(Anomaly.FORCED_LOGOUT), user="u", at=1, why="", witness=(SHOWN,))


def told(
    replicas: Sequence[str], taken: Mapping[tuple[str, str], bool] | None, cookies: Mapping[str, Mapping[str, bool]]
) -> Iterator[Operation]:
    """Each of the replicas makes a session that is shown to each; `taken` decides by who made it and who is asked, None
    for whoever made it alone."""
    for at, (maker, asked) in enumerate([*product(replicas, replicas)] * 3):
        who, device = f"u{at}", f"u{at}.1"
        (replica, _, release), (reader, _, other) = maker.partition("/"), asked.partition("/")
        mine = op(Kind.LOGIN, at * NS, at * NS, user=who, device=device, session=who, replica=replica, release=release)
        yield replace(mine, is_conclusion=True, cookies=cookies.get(release, {"sid": False}))
        is_good = maker == asked if taken is None else taken.get((release, other), True)
        shown = op(
            Kind.READ, at * NS + 1, at * NS + 2, user=who, device=device, session=who, replica=reader, release=other,
            argument="GET /me", outcome=Outcome.OK if is_good else Outcome.REFUSED, result="200" if is_good else "302",
        )  # fmt: skip
        yield shown if is_good else replace(shown, turned_away=True)


EITHER = "each replica keeps them in its memory or files, or signs them with a secret of its own"
SIGNED = "each replica signs them with a secret of its own (the cookie session holds a signed session)"
BOTH = "v2 refuses the sessions that v1 made and the reverse: each release"
TOKEN = {"session": True}


@pytest.mark.parametrize(
    ("replicas", "taken", "cookies", "cause"),
    [
        (OLD, None, {}, f"a session is taken by the replica alone that made it: {EITHER}"),
        (OLD + NEW, None, {}, f"a session is taken by the replica alone that made it: {EITHER}"),
        (OLD, None, {"v1": TOKEN}, f"a session is taken by the replica alone that made it: {SIGNED}"),
        (OLD, None, {"v1": TOKEN | {"id": False}}, f"a session is taken by the replica alone that made it: {EITHER}"),
        (OLD, {}, {}, ""),
        (OLD, {("v1", "v1"): False}, {}, ""),
        (
            OLD + NEW,
            {("v1", "v2"): False, ("v2", "v1"): False},
            {},
            f"{BOTH} has a secret of its own, another format, or another place for them",
        ),
        (
            OLD + NEW,
            {("v1", "v2"): False, ("v2", "v1"): False},
            {"v1": TOKEN, "v2": TOKEN},
            f"{BOTH} signs them with a secret of its own, or they hold what the other can't read",
        ),
        (
            OLD + NEW,
            {("v1", "v2"): False},
            {},
            "v2 refuses the sessions that v1 made: each release has a secret of its own, another format, or another"
            " place for them",
        ),
        (
            OLD + NEW,
            {("v1", "v2"): False},
            {"v1": {"sid": False}, "v2": {"session_v2": False}},
            "v2 refuses the sessions that v1 made: they are in other cookies (sid; in v2 session_v2)",
        ),
        (
            ("a1-1/v1", "a1-2/v2"),
            None,
            {},
            "no session was taken by another replica than the one that made it, and all have gone: each replica or"
            " release keeps them in its memory or files, or signs them with a secret of its own",
        ),
    ],
)
def test_what_is_said_of_sessions_goes_by_who_took_them(
    replicas: Sequence[str],
    taken: Mapping[tuple[str, str], bool] | None,
    cookies: Mapping[str, Mapping[str, bool]],
    cause: str,
) -> None:
    """Memory and a secret of one's own look alike, and both are said; a cookie that is a signed session says more."""
    assert own_app_cause([MADE], [], told(replicas, taken, cookies)) == cause


def test_nothing_is_said_of_sessions_where_nobody_lost_one() -> None:
    """What was broken is another promise."""
    assert own_app_cause([replace(MADE, promise=TRIES)], [], told(OLD, None, {})) == ""


def test_a_session_that_was_ended_and_a_page_for_everybody_say_nothing_of_who_takes_sessions() -> None:
    """The one is to be refused by all, the other is shown by all."""
    one_each = [*told(OLD, None, {})]
    more = [
        part
        for login in one_each
        if login.kind is Kind.LOGIN
        for part in (
            replace(login, kind=Kind.BROWSE, is_conclusion=False, tries=(replace(login.final, replica="b1-1"),)),
            replace(login, kind=Kind.LOGOUT),
            replace(SHOWN, session=login.session, tries=login.tries, turned_away=True, outcome=Outcome.REFUSED),
        )
    ]
    expected = f"a session is taken by the replica alone that made it: {EITHER}"
    assert own_app_cause([MADE], [], [*one_each, *more]) == expected
