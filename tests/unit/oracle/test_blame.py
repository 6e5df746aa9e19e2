"""The causal line of a finding, and the pattern behind many."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome
from lab.oracle import blame, check
from lab.oracle.between import changed_between
from lab.oracle.promises import LOGGED_IN, NAME_REGISTER, ROLLOUTS_END, TRIES
from lab.oracle.went_well import what_went_well
from lab.record import AnyEvent, ContainerEvent, Step, Strike, ZoneLost
from tests.unit.oracle.making import op

STRIKE = Strike(
    at=10 * NS, strike=3, fault="SIGKILL", victim="a1-1", container="c", slot="a1", zone="a", release="v1", serving=6
)
STORE_DIED = ContainerEvent(at=10 * NS, action="die", container="s", name="store", role="store")


def drain(replica: str, at: float) -> Step:
    return Step(at=int(at * NS), action="drain", slot=replica[:2], replica=replica, release="v1", why="upgrade")


def forced_logout(user: str, maker: str, reader: str, *, releases: tuple[str, str] = ("v1", "v1")) -> Finding:
    """A finding as the oracle makes it: logged in by `maker` at 5 s, rejected by `reader` at 11 s."""
    login = op(Kind.LOGIN, 5 * NS, 6 * NS, user=user, session=f"{user}/1#1", replica=maker, release=releases[0])
    rejected = op(
        Kind.CART,
        11 * NS,
        11 * NS + 1,
        user=user,
        session=f"{user}/1#1",
        outcome=Outcome.REFUSED,
        result="401",
        replica=reader,
        release=releases[1],
    )
    return next(iter(check([login, rejected]).findings))


def likely(findings: list[Finding], *events: AnyEvent) -> str:
    return blame(findings, events)[1]


def test_the_cause_tells_who_answered_who_had_made_it_and_what_became_of_them() -> None:
    """One line: the replica that answered, the one that had made the session, and the strike at it."""
    finding = forced_logout("u", "a1-1", "b2-4")
    (caused,), sentence = blame([finding], [drain("b1-1", 2), STRIKE])
    assert caused.promise == LOGGED_IN
    assert caused.cause == (
        "answered by b2-4 (v1); a1-1 (v1) had made the session; a1-1 was struck (SIGKILL) 1.0 s before"
    )
    assert replace(caused, cause="") == finding
    assert sentence == "sessions live in the instance's memory"


def test_the_cause_without_events_is_only_who_answered() -> None:
    """Nothing is invented where nothing was recorded."""
    (caused,), _ = blame([forced_logout("u", "a1-1", "a1-1")], [])
    assert caused.cause == "answered by a1-1 (v1), which had made the session"
    (later,), _ = blame([forced_logout("u", "a1-1", "b1-1")], [replace(STRIKE, at=12 * NS)])
    assert "struck" not in later.cause


def unanswered(kind: Kind) -> Finding:
    """Nobody says who was asked: the balancer alone, that it was whoever has slot b1."""
    asked = op(kind, 11 * NS, 12 * NS, user="u", outcome=Outcome.UNKNOWN, result="502", replica=None, release=None)
    asked = replace(asked, tries=(replace(asked.tries[0], edge=("b1",)),))
    return Finding(promise=TRIES, anomaly="not answered", user="u", at=12 * NS, why="502", witness=(asked,))


def test_whoever_closes_a_connection_is_named_by_its_slot() -> None:
    """And not what was done in another slot; apps of one's own may keep idle connections for too short a time."""
    elsewhere, there = drain("a1-1", 11.5), drain("b1-2", 11.5)
    (caused,), _ = blame([unanswered(Kind.ACT)], [elsewhere])
    assert caused.cause.startswith("b1 closed the connection without an answer")
    assert "idle connections" in caused.cause
    (caused,), _ = blame([unanswered(Kind.CART)], [elsewhere])
    assert "idle" not in caused.cause
    (caused,), _ = blame([unanswered(Kind.ACT)], [elsewhere, there])
    assert caused.cause.startswith("b1-2 was told to leave")


@pytest.mark.parametrize("at", [11, 12.2])
def test_a_replica_that_ended_closed_no_connection_by_itself(at: float) -> None:
    """By the engine's word, which may come a little later than the answer."""
    died = ContainerEvent(at=int(at * NS), action="die", container="c", name="b1-2", role="app", slot="b1")
    (caused,), _ = blame([unanswered(Kind.ACT)], [died])
    assert "closed the connection" not in caused.cause


def test_a_planned_stop_of_the_maker_is_told_too() -> None:
    """Sessions that go with an upgraded replica have a step as their cause, not a strike."""
    (caused,), sentence = blame([forced_logout("u", "a1-1", "a1-9", releases=("v1", "v2"))], [drain("a1-1", 9)])
    assert caused.cause.endswith("a1-1 was told to leave (upgrade) 2.0 s before")
    assert sentence == "sessions live in the instance's memory"


def test_memory_is_not_blamed_for_what_the_store_lost() -> None:
    """If the store had died before, or the same replica rejects what it made, memory is not the pattern."""
    many = [forced_logout(f"u{n}", "a1-1", "b1-1") for n in range(6)]
    assert likely(many) == "sessions live in the instance's memory"
    assert likely(many, STORE_DIED) == ""
    assert likely([forced_logout(f"u{n}", "a1-1", "a1-1") for n in range(6)], STRIKE) == ""
    assert likely(many[:1]) == "", "one case while its maker lives may be anything"


def test_mixed_formats_are_told_by_the_release() -> None:
    """Makers are alive and each reader is of the other release: the two don't read each other's sessions."""
    mixed = [forced_logout(f"u{n}", "a1-1", "b1-1", releases=("v1", "v2")) for n in range(4)]
    assert likely(mixed) == "two releases do not read each other's data: formats are mixed"
    within = [forced_logout(f"w{n}", "c1-1", "a2-1") for n in range(4)]
    assert likely([*mixed, *within], replace(STRIKE, victim="c1-1")) == "sessions live in the instance's memory"


@pytest.mark.parametrize("is_repeated", [True, False])
def test_doubled_by_retry(is_repeated: bool) -> None:
    """Duplicates that all belong to repeated requests say that the key is ignored."""
    view = op(Kind.VIEW, 1, 4, "u.1.1", replica="a1-1")
    view = replace(view, tries=(replace(view.tries[0], result="cut"), view.tries[0])) if is_repeated else view
    read = op(Kind.HISTORY, 5, 6, answer=[2, ["u.1.1", "u.1.1"]])
    findings = list(check([view, read]).findings)
    assert [one.anomaly for one in findings] == ["applied twice"]
    assert bool(likely(findings)) == is_repeated


def test_no_drain_is_told_by_the_stops() -> None:
    """Requests cut by planned stops, and nothing worse, say that replicas leave too early."""
    one: Operation = op(Kind.CART, 1, 2, outcome=Outcome.UNKNOWN)
    cut = Finding(promise="clean_stops", anomaly="cut by a planned stop", user="u", at=2, why="cut", witness=(one,))
    assert "drain" in likely([cut])


def test_nothing_is_said_of_nothing() -> None:
    """No findings, no pattern."""
    assert blame([], [STRIKE]) == ((), "")


@pytest.mark.parametrize(
    ("entered", "left", "is_new"), [(8.0, None, True), (8.0, 9.5, False), (-5.0, None, False), (None, None, False)]
)
def test_what_fails_at_new_replicas_is_laid_at_their_word(
    entered: float | None, left: float | None, *, is_new: bool
) -> None:
    """Unanswered right after a replica got its slot: it was not ready; not where it was leaving, or long there."""
    failed = op(Kind.CART, 10 * NS, 11 * NS, outcome=Outcome.UNKNOWN, result="502")
    failed = replace(failed, tries=(replace(failed.tries[0], edge=("a1",)),))
    finding = Finding(promise=TRIES, anomaly="not answered", user="u", at=11 * NS, why="", witness=(failed,))
    steps = [
        Step(at=int(at * NS), action=action, slot="a1", replica="a1-7", release="v2")
        for action, at in (("enter", entered), ("drain", left))
        if at is not None
    ]
    assert ("too early" in likely([finding], *steps)) == is_new


@pytest.mark.parametrize(("lost", "is_told"), [(5.0, True), (12.0, False)])
def test_what_fails_once_a_zone_was_lost_is_laid_at_what_is_left(lost: float, *, is_told: bool) -> None:
    """Also at replicas that had just got their slots: that they are new explains less."""
    failed = op(Kind.CART, 10 * NS, 11 * NS, outcome=Outcome.UNKNOWN, result="503")
    failed = replace(failed, tries=(replace(failed.tries[0], edge=("a1",)),))
    finding = Finding(promise=TRIES, anomaly="not answered", user="u", at=11 * NS, why="", witness=(failed,))
    entered = Step(at=8 * NS, action="enter", slot="a1", replica="a1-7", release="v1")
    told = likely([finding], entered, ZoneLost(at=int(lost * NS), zone="b"))
    assert ("did not carry the load" in told) == is_told


def test_a_rollout_explains_itself() -> None:
    """Whatever was removed just before is no cause of its going wrong."""
    finding = Finding(promise=ROLLOUTS_END, anomaly="slot moved twice", user="", at=11 * NS, why="a1 was moved twice")
    removed = Step(at=10 * NS, action="remove", slot="b1", replica="b1-1", release="v1")
    assert blame([finding], [removed])[0][0].cause == ""


def dropped_names(*readers: str | None) -> tuple[list[Operation], list[Finding]]:
    """Users whose name a1-1 of v1 had written; then v2 answered a line and a checkout of theirs, and it was gone."""
    history = []
    for number, reader in enumerate(readers):
        user = f"u{number}"
        history += [
            op(Kind.RENAME, 1 * NS, 2 * NS, f"k{number}", argument="Ada", replica="a1-1", release="v1", user=user),
            op(Kind.ADD, 3 * NS, 4 * NS, f"l{number}", argument=1, replica="b1-7", release="v2", user=user),
            op(Kind.CHECKOUT, 5 * NS, 6 * NS, f"o{number}", answer={}, replica="b1-7", release="v2", user=user),
            op(Kind.ACCOUNT, 7 * NS, 8 * NS, answer=None, replica=reader, release="v1", user=user),
        ]
    more = [op(Kind.ADD, 3 * NS, 4 * NS, f"m{number}", argument=1, user="v", release="v2") for number in range(9)]
    found = [one for one in check(history).findings if one.promise == NAME_REGISTER]
    assert len(found) == len(readers)
    return [*history, *more], found


def test_what_a_new_release_drops_is_laid_at_the_change_that_dropped_it() -> None:
    """Neither side of the proof was the new release's: of what it changed in between, the rarest tells most."""
    history, findings = dropped_names("a1-1", "c1-3", "c1-3")
    caused, sentence = blame(findings, [], changed_between(findings, history, {"v2"}))
    assert sentence == "v2 drops what it does not know of (checkout): formats are mixed"
    assert caused[0].cause == "b1-7 (v2) had answered checkout 2.0 s before; a1-1 (v1) had answered rename first"


def test_what_is_gone_elsewhere_alone_may_lie_in_a_memory() -> None:
    """As long as the very replica that had written it was not asked, a drop isn't told from a place."""
    history, findings = dropped_names(*["c1-3"] * 5)
    assert blame(findings, [], changed_between(findings, history, {"v2"}))[1] == "state lives in the instance's memory"


def test_what_others_had_shown_before_lies_in_no_memory() -> None:
    """Though the very replica that had written it was not asked again: where it is kept explains nothing."""
    history, findings = dropped_names(*["c1-3"] * 5)
    before = [
        op(Kind.ACCOUNT, 2 * NS + at, 2 * NS + at + 1, answer="Ada", replica="b1-2", release="v1", user=f"u{user}")
        for user in range(5)
        for at in (10, 20, 30)
    ]
    whole = sorted([*history, *before], key=lambda one: one.end)
    between = changed_between(findings, whole, {"v2"})
    told = blame(findings, [], between, {}, what_went_well(whole, [], findings))[1]
    assert told == "v2 drops what it does not know of (checkout): formats are mixed"
    alone = what_went_well(sorted(history, key=lambda one: one.end), [], findings)
    assert blame(findings, [], between, {}, alone)[1] == "state lives in the instance's memory"


def test_whoever_does_not_say_where_it_was_answered_proves_no_place() -> None:
    """An app of one's own may not tell which replica answers: that is not the very replica that had written it."""
    history, findings = dropped_names(None, "c1-3")
    assert "drops" not in blame(findings, [], changed_between(findings, history, {"v2"}))[1]


def test_nothing_is_laid_at_a_release_that_changed_nothing_in_between() -> None:
    """Too early, too late, or by the release that was there before."""
    history, findings = dropped_names("a1-1")
    without = [one for one in history if one.kind not in {Kind.ADD, Kind.CHECKOUT}]
    early = op(Kind.CHECKOUT, 0, 1 * NS, "e", answer={}, release="v2", user="u0")
    late = op(Kind.CHECKOUT, 9 * NS, 10 * NS, "l", answer={}, release="v2", user="u0")
    for changes in (
        changed_between(findings, [early, *without, late], {"v2"}),
        changed_between(findings, history, {"v3"}),
    ):
        assert not any(changes.changes)
        assert "drops" not in blame(findings, [], changes)[1]
