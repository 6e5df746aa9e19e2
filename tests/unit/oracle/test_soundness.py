"""The oracle says nothing about what some order explains, and finds what none does."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lab.model import Finding, Kind, Operation, Outcome
from lab.oracle import Oracle, check
from lab.oracle.promises import DEVICES_AGREE
from tests.unit.oracle import brute_force
from tests.unit.oracle.dense import FAMILIES, make_alone, make_dense
from tests.unit.oracle.making import op, with_quiet_points
from tests.unit.oracle.reference import MS, Weather, simulate

WEATHERS = {
    "usual": Weather(users=6),
    "busy": Weather(users=4, think=2 * MS),
    "tiny clock": Weather(users=4, think=3, latency=3),
    "stormy": Weather(users=3, think=1, latency=6, cut=0.15, storm=0.1, devices=(2, 3)),
    "late effects": Weather(users=4, think=10, latency=2, cut=0.1, late=0.6),
}
MODEST = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def judge_online(history: Sequence[Operation]) -> Oracle:
    """Feed the oracle as a live run does: each operation as it ends, quiet whenever nothing is in flight."""
    return check(with_quiet_points(history))


def of_state(findings: Sequence[Finding]) -> list[Finding]:
    return [one for one in findings if one.promise != DEVICES_AGREE]


@pytest.mark.parametrize("weather", WEATHERS)
def test_valid_histories_raise_no_alarm(weather: str) -> None:
    """Whatever the reference model did, with retries, cut answers and late effects, nothing is found."""
    for seed in range(24):
        oracle = check(simulate(seed, WEATHERS[weather]))
        assert not oracle.findings, (seed, oracle.findings[0].why)
        assert not oracle.undecided
        assert oracle.comparisons > 100


@MODEST
@given(
    seed=st.integers(0, 2**32),
    think=st.sampled_from([1, 4, 30, 40 * MS]),
    latency=st.sampled_from([1, 5, 6 * MS]),
    cut=st.floats(0, 0.3),
    late=st.floats(0, 1),
    devices=st.integers(1, 4),
)
def test_no_weather_raises_an_alarm(seed: int, think: int, latency: int, cut: float, late: float, devices: int) -> None:
    """No mix of speed, width and failure makes a correct shop look broken, online or afterwards."""
    weather = Weather(
        users=2, operations=40, think=think, latency=latency, cut=cut, late=late, devices=(devices,), unsent=0.05
    )
    history = simulate(seed, weather)
    assert not check(history).findings
    assert not judge_online(history).findings


@pytest.mark.parametrize("family", FAMILIES)
def test_agrees_with_brute_force(family: str) -> None:
    """On small crowded histories a finding is made if and only if trying every order finds none that fits, in
    whatever order they are fed."""
    found = 0
    for seed in range(1000):
        history = make_dense(Random(f"{family} {seed}"), family)
        explained = brute_force.explains(history)
        for oracle in (check(history), judge_online(history)):
            findings = oracle.findings
            assert bool(of_state(findings)) == (not explained), (seed, [one.why for one in findings])
            assert not (explained and findings), seed
        found += not explained
    assert found > 90


@pytest.mark.slow
def test_one_thing_at_a_time_agrees_with_brute_force() -> None:
    """Where writes of unknown outcome come in between, the quick way finds what trying every order finds."""
    found = unknown = 0
    for seed in range(5000):
        history = make_alone(Random(seed))
        explained = brute_force.explains(history)
        findings = check(with_quiet_points(history)).findings
        assert bool(findings) == (not explained), (seed, [one.why for one in findings])
        found += not explained
        unknown += sum(one.kind is Kind.CHECKOUT and one.outcome is Outcome.UNKNOWN for one in history)
    assert found > 500
    assert unknown > 2000


def make_session(chance: Random) -> list[Operation]:
    """One session on a tiny clock: requests that are accepted or rejected, and logouts."""
    made = [op(Kind.LOGIN, 0, 1, session="u/1#1")]
    for _ in range(chance.randint(1, 5)):
        begin = chance.randint(2, 9)
        end = begin + chance.randint(0, 3)
        draw = chance.random()
        if draw < 0.35:
            outcome = chance.choice([Outcome.OK, Outcome.UNKNOWN])
            made.append(op(Kind.LOGOUT, begin, end, outcome=outcome, session="u/1#1"))
        elif draw < 0.65:
            made.append(op(Kind.HISTORY, begin, end, answer=[0, []], session="u/1#1"))
        else:
            made.append(op(Kind.CART, begin, end, outcome=Outcome.REFUSED, result="401", session="u/1#1"))
    return sorted(made, key=lambda one: (one.end, one.id))


def test_sessions_agree_with_brute_force() -> None:
    """A session is found broken if and only if no order of login, requests and logout explains the answers."""
    found = 0
    for seed in range(2000):
        history = make_session(Random(seed))
        answered = [
            one
            if one.kind in {Kind.LOGIN, Kind.LOGOUT}
            else replace(one, outcome=Outcome.OK, answer=one.kind is Kind.HISTORY)
            for one in history
        ]
        explained = brute_force.is_linearizable(answered, "none", brute_force.session)
        assert bool(check(history).findings) == (not explained), seed
        found += not explained
    assert found > 200


def test_online_and_offline_say_the_same() -> None:
    """Judging while the run goes on and judging its record afterwards give the same findings and counts."""
    for seed in range(8):
        history = simulate(seed, WEATHERS["stormy"])
        lists = [one for one in history if one.kind is Kind.HISTORY and one.outcome is Outcome.OK and one.answer[0]]
        spoilt = replace(lists[-1], answer=[lists[-1].answer[0] - 1, lists[-1].answer[1][1:]])
        broken = [spoilt if one.id == spoilt.id else one for one in history]
        online, offline = judge_online(broken), check(broken)
        key = [(one.user, one.promise, one.anomaly, one.why) for one in online.findings]
        assert sorted(key) == sorted((one.user, one.promise, one.anomaly, one.why) for one in offline.findings)
        assert key
        assert online.counts == offline.counts


def test_of_two_removals_without_an_answer_the_first_to_begin_may_have_done_it() -> None:
    """It explains what a read shows that began before the second, whichever of the two was given up first."""
    history = [
        op(Kind.ADD, 0, 1, "u.1.1", argument=1),
        op(Kind.REMOVE, 10, 60, "u.1.2", argument="u.1.1", outcome=Outcome.UNKNOWN),
        op(Kind.CART, 20, 21, answer={}, device="u.2"),
        op(Kind.REMOVE, 30, 40, "u.2.1", argument="u.1.1", outcome=Outcome.UNKNOWN, device="u.2"),
    ]
    for fed in (history, history[::-1], with_quiet_points(history)):
        assert not check(fed).findings


def without_answers(checkouts: int, additions: int) -> list[Operation]:
    """A user whose store answers nothing for a while, and then an addition."""
    kinds = [Kind.CHECKOUT] * checkouts + [Kind.ADD] * additions
    made = [
        op(kind, 10 * number, 10 * number + 5, f"u.1.{number}", argument=1, outcome=Outcome.UNKNOWN)
        for number, kind in enumerate(kinds)
    ]
    return [*made, op(Kind.ADD, 10 * len(made), 10 * len(made) + 5, "u.1.last", argument=1)]


def test_one_addition_makes_no_more_than_one_order_of_an_empty_cart() -> None:
    """Of many checkouts without an answer at most one more can have done something for each addition."""
    oracle = check(without_answers(7, 1))
    assert (oracle.undecided, list(oracle.findings)) == (0, [])


def test_what_could_have_come_in_too_many_ways_is_given_up_before_they_are_all_tried() -> None:
    """However many checkouts have no answer: nothing is claimed, and it is told."""
    oracle = check(without_answers(30, 30))
    assert (oracle.undecided, list(oracle.findings)) == (1, [])


def quiet(operation: Operation) -> Operation:
    return replace(operation, quiet=True)


def test_too_early_a_quiet_point_silences_and_is_told() -> None:
    """An operation that had begun before an announced quiet point makes its user unjudged, never a finding."""
    oracle = Oracle()
    oracle.feed(quiet(op(Kind.HISTORY, 10, 20, answer=[1, ["u.1.1"]])))
    assert oracle.findings, "the view that explains the read was never fed"
    late = Oracle()
    late.feed(quiet(op(Kind.HISTORY, 10, 20, answer=[0, []])))
    late.feed(quiet(op(Kind.VIEW, 15, 30, "u.1.1")))
    late.feed(op(Kind.HISTORY, 40, 50, answer=[0, []]))
    late.finish()
    assert late.unjudged == 1
    assert not late.findings


def test_more_views_than_a_read_shows() -> None:
    """Entries that no read showed are counted, not guessed; one view too few for the count is still found."""
    views = [op(Kind.VIEW, 10 * n, 10 * n + 1, f"u.1.{n}") for n in range(1, 251)]
    keys = [str(one.key) for one in views]
    first = op(Kind.HISTORY, 15, 16, answer=[1, keys[:1]])
    last = op(Kind.HISTORY, 9000, 9001, answer=[250, keys[-100:]])
    assert not check([*views, first, last]).findings
    lost = op(Kind.HISTORY, 9000, 9001, answer=[249, keys[-100:]])
    assert [one.anomaly for one in check([*views, first, lost]).findings] == ["lost write"]
    more = op(Kind.HISTORY, 9000, 9001, answer=[251, keys[-100:]])
    assert [one.anomaly for one in check([*views, first, more]).findings] == ["applied twice"]


def test_a_session_that_may_have_run_out_is_no_forced_logout() -> None:
    """A 401 after half of the idle time without a request is explained by the app's own limits."""
    minute = 60 * 1000 * MS
    login = op(Kind.LOGIN, 0, 1, session="u/1#1")
    for minutes, is_found in ((14, True), (15, False), (40, False)):
        late = op(Kind.CART, minutes * minute, minutes * minute, outcome=Outcome.REFUSED, result="401", session="u/1#1")
        assert bool(check([login, late]).findings) == is_found


def test_what_a_public_page_answers_says_nothing_of_a_session() -> None:
    """Neither alone nor beside another device's login, and it makes no later request a session come back."""
    login = op(Kind.LOGIN, 0, 1, session="u/1#1")
    other = op(Kind.LOGIN, 12, 15, session="u/2#1", device="u.2")
    page = op(Kind.BROWSE, 10, 20, outcome=Outcome.REFUSED, result="401", session="u/1#1")
    later = op(Kind.CART, 30, 31, answer={}, session="u/1#1")
    for history in ([login, page, later], [login, other, page, later]):
        for fed in (history, with_quiet_points(history)):
            assert not check(fed).findings
