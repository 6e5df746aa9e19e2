"""The gate: what makes a new release worse than the old one, and what must not."""

from __future__ import annotations

from math import comb
from random import Random

import msgspec
import pytest

from lab.clock import NS
from lab.deploy.gate import (
    EDGES_MS,
    Figures,
    GateVerdict,
    JudgeSettings,
    _worse_by_chance,
    judge,
)
from lab.deploy.results import WINDOW, ResultWindow
from lab.errors import UsageError
from lab.model import Kind, Operation, Outcome, Try
from tests.bench.gate import simulate_null_rollouts

SETTINGS = JudgeSettings()
CASES = [(3, 10, 1, 12), (0, 5, 2, 9), (4, 4, 0, 8)]


def answered(tries: int, *, failed: int = 0, ms: float = 8, broken: int = 0) -> Figures:
    """Figures of so many tries, of which the good ones all took `ms`."""
    bins = [0] * (len(EDGES_MS) + 1)
    bins[next((n for n, edge in enumerate(EDGES_MS) if ms <= edge), len(EDGES_MS))] = tries - failed
    return Figures(tries=tries, failed=failed, broken=broken, latencies=tuple(bins))


def verdict(new: Figures, old: Figures, *, waited: float = 5) -> GateVerdict:
    return judge(new, old, SETTINGS, waited=waited).verdict


def test_an_equal_release_goes() -> None:
    """Enough tries, none failed, no slower."""
    assert verdict(answered(200), answered(800)) is GateVerdict.GO


def test_one_broken_promise_is_enough() -> None:
    """Whatever else it did, and however little was tried: a lost write is no matter of shares."""
    judged = judge(answered(3, broken=1), answered(800), SETTINGS, waited=1)
    assert judged.verdict is GateVerdict.ROLL_BACK
    assert "1 promises" in judged.why


def test_too_few_tries_say_nothing_until_patience_is_over() -> None:
    """Then what nobody tried is not called good."""
    assert verdict(answered(SETTINGS.least_tries - 1), answered(800), waited=29) is GateVerdict.HOLD
    judged = judge(answered(20), answered(800), SETTINGS, waited=31)
    assert judged.verdict is GateVerdict.ROLL_BACK
    assert "only 20 of 100" in judged.why


def test_a_release_that_fails_where_the_old_one_did_not_goes_back() -> None:
    """One try in twenty failed, and the sentence holds the figures."""
    judged = judge(answered(300, failed=15), answered(900), SETTINGS, waited=5)
    assert judged.verdict is GateVerdict.ROLL_BACK
    assert "15 of 300" in judged.why


def test_what_the_old_release_fails_too_is_not_the_new_ones_fault() -> None:
    """A store that stumbles hurts both."""
    assert verdict(answered(300, failed=15), answered(900, failed=45)) is GateVerdict.GO


def test_a_single_unlucky_try_turns_nothing_back() -> None:
    """One failure in a hundred tries may be chance."""
    assert verdict(answered(100, failed=1), answered(600)) is GateVerdict.GO


def test_a_slow_release_goes_back() -> None:
    """Ten times as slow, and by more than a small number's noise; twice as slow as nearly nothing is fine."""
    assert verdict(answered(300, ms=200), answered(900, ms=20)) is GateVerdict.ROLL_BACK
    assert verdict(answered(300, ms=15), answered(900, ms=2)) is GateVerdict.GO


def test_with_no_old_release_left_only_the_allowed_share_counts() -> None:
    """At the last stage nothing is beside the new release: its own failures still turn it back."""
    assert verdict(answered(500), Figures()) is GateVerdict.GO
    assert verdict(answered(500, failed=30), Figures()) is GateVerdict.ROLL_BACK


def test_an_equal_release_is_hardly_ever_turned_back() -> None:
    """Over 2,000 draws in which both fail in one try of fifty, at most 4 in a thousand are turned back."""
    random = Random(1)
    back = 0
    for _ in range(2000):
        new, old = (sum(random.random() < 0.02 for _ in range(count)) for count in (150, 600))
        back += verdict(answered(150, failed=new), answered(600, failed=old)) is GateVerdict.ROLL_BACK
    assert back <= 8


@pytest.mark.parametrize("rollouts", [100, pytest.param(1000, marks=pytest.mark.prove)])
def test_null_rollouts_are_not_turned_back(rollouts: int) -> None:
    """Of 1,000 whole rollouts to a release that is no worse, asked every second, at most two; worse ones are."""
    null = simulate_null_rollouts(rollouts)
    assert null.asked >= rollouts * 40
    assert null.turned_back <= 2
    assert simulate_null_rollouts(100, worse=0.05).rate >= 0.85


def test_a_release_that_fails_one_try_in_twenty_is_caught_within_600_tries() -> None:
    """In at least 95 of 100 draws, against an old one that never fails."""
    random = Random(2)
    caught = 0
    for _ in range(300):
        failed = sum(random.random() < 0.05 for _ in range(600))
        caught += verdict(answered(600, failed=failed), answered(2000)) is GateVerdict.ROLL_BACK
    assert caught >= 285


@pytest.mark.parametrize(
    ("failed", "tries", "other_failed", "other_tries"), [(3, 10, 1, 12), (0, 5, 2, 9), (4, 4, 0, 8)]
)
def test_chance_is_counted_exactly(failed: int, tries: int, other_failed: int, other_tries: int) -> None:
    """The tail of Fisher's exact test, against counting the ways."""
    total, failures = tries + other_tries, failed + other_failed
    ways = sum(comb(tries, k) * comb(other_tries, failures - k) for k in range(failed, min(tries, failures) + 1))
    assert _worse_by_chance(failed, tries, other_failed, other_tries) == pytest.approx(ways / comb(total, failures))


@pytest.mark.parametrize("share", ["1 %%", "-3%", "2", "much"])
def test_a_share_that_is_none_is_refused(share: str) -> None:
    """With the key and an example."""
    with pytest.raises(UsageError):
        _ = JudgeSettings(failed=share).failed_share
    assert JudgeSettings(failed="2.5%").failed_share == pytest.approx(0.025)


def operation(at: float, *tries: Try, kind: Kind = Kind.CART) -> Operation:
    end = int(at * NS)
    return Operation(id=1, user="u", device="u.1", kind=kind, begin=end, end=end, outcome=Outcome.OK, tries=tries)


def one_try(at: float, result: str, release: str | None, slot: str = "a1", ms: int = 5) -> Try:
    end = int(at * NS)
    return Try(begin=end - ms * 1_000_000, end=end, result=result, release=release, edge=(slot,))


def test_tries_are_counted_for_the_release_that_answered() -> None:
    """Good, bad and refused-session answers; one that nobody answered counts for whoever has the slot."""
    window = ResultWindow()
    window.note(operation(100, one_try(100, "200", "v2")))
    window.note(operation(100.1, one_try(100.1, "503", "v2"), one_try(100.2, "200", "v1", "b1")))
    window.note(operation(100.3, one_try(100.3, "cut", None)))
    window.note(operation(100.4, one_try(100.4, "401", "v2")))
    window.note_broken("v2", 101 * NS)
    figures = window.figures(101 * NS)
    assert (figures.of("v2").tries, figures.of("v2").failed, figures.of("v2").broken) == (4, 3, 1)
    assert (figures.of("v1").tries, figures.of("v1").failed) == (1, 0)
    assert figures.of("v2").latency_ms(0.5) == 5
    assert figures.of("v9").tries == 0


def test_a_session_that_its_user_had_ended_is_refused_rightly() -> None:
    """By whoever refuses it; one that nobody had ended is a failure."""
    window = ResultWindow()
    ended = msgspec.structs.replace(operation(100, one_try(100, "200", "v1"), kind=Kind.LOGOUT), session="u/1#1")
    window.note(ended)
    refused = msgspec.structs.replace(
        operation(101, one_try(101, "401", "v2")), session="u/1#1", outcome=Outcome.REFUSED
    )
    window.note(refused)
    assert window.figures(101 * NS).of("v2").failed == 0
    window.note(msgspec.structs.replace(refused, session="u/1#2"))
    assert window.figures(101 * NS).of("v2").failed == 1
    window.note(msgspec.structs.replace(refused, session="u/1#3", kind=Kind.LOGOUT))
    assert window.figures(101 * NS).of("v2").failed == 2, "whoever can't log out was not logged in any more"
    window.note(msgspec.structs.replace(refused, session=None))
    assert window.figures(101 * NS).of("v2").failed == 3


@pytest.mark.parametrize(("result", "kind"), [("303", Kind.ADD), ("409", Kind.ADD), ("403", Kind.CART)])
def test_an_answer_that_does_nothing_is_a_failure(result: str, kind: Kind) -> None:
    """A redirect, or a refusal that nothing explains, is no good answer of the release that gave it."""
    window = ResultWindow()
    outcome = Outcome.UNKNOWN if result == "303" else Outcome.REFUSED
    window.note(msgspec.structs.replace(operation(100, one_try(100, result, "v2"), kind=kind), outcome=outcome))
    assert window.figures(101 * NS).of("v2").failed == 1


def test_whom_a_release_has_met() -> None:
    """Since when, and nobody else."""
    window = ResultWindow()
    window.note(operation(100, one_try(100, "200", "v2")))
    assert window.has_met("v2", "u", since=100 * NS)
    assert not window.has_met("v2", "u", since=100 * NS + 1)
    assert not window.has_met("v2", "another", since=0)
    assert not window.has_met("v1", "u", since=0)


def test_the_window_forgets() -> None:
    """Only the last seconds count, and what is kept stays small."""
    window = ResultWindow()
    for second in range(500):
        window.note(operation(second, one_try(second, "200", "v1")))
    assert window.figures(499 * NS).of("v1").tries <= WINDOW + 1
    assert window.figures(1000 * NS).of("v1").tries == 0
