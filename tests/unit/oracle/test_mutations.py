"""Each planted anomaly is found, named, and laid at the right promise; and breaking a rule lets it through."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from lab.model import Kind, Operation, Outcome
from lab.oracle import cart, check, devices, history, history_rules, name, own_data, session
from lab.oracle.promises import DEVICES_AGREE, NAME_REGISTER, Anomaly
from tests.unit.oracle.making import op
from tests.unit.oracle.mutations import PLANTED, plant
from tests.unit.oracle.reference import MS, Weather, simulate

CALM = Weather(users=6, operations=110, think=15 * MS, cut=0.004, unsent=0.03, storm=0.03, devices=(1, 2, 3))
SEEDS = range(7)
HISTORIES = {seed: simulate(1000 + seed, CALM) for seed in SEEDS}


@pytest.mark.parametrize("planted", PLANTED)
def test_planted_anomaly_is_found(planted: str) -> None:
    """The user it was planted at is found, by the right promise and under its right name, and nobody else is."""
    _, promise, anomalies = PLANTED[planted]
    tried = 0
    for seed in SEEDS:
        made = plant(planted, HISTORIES[seed], Random(seed))
        if made is None:
            continue
        tried += 1
        user, spoilt = made
        oracle = check(spoilt)
        assert oracle.users_hurt == {user}
        findings = [one for one in oracle.findings if promise == DEVICES_AGREE or one.promise != DEVICES_AGREE]
        named = {(one.promise, one.anomaly) for one in findings}
        if promise == DEVICES_AGREE:
            assert (promise, next(iter(anomalies))) in named
        else:
            assert len(findings) == 1
            assert findings[0].promise == promise
            assert findings[0].anomaly in anomalies
        for one in findings:
            _check_witness(one.witness, one.why)
    assert tried >= 3


def _check_witness(witness: Sequence[Operation], why: str) -> None:
    assert 1 <= len(witness) <= 4
    assert [one.begin for one in witness] == sorted(one.begin for one in witness)
    assert why
    assert "\n" not in why
    assert len(why) < 250


def test_valid_histories_hold_what_the_mutations_start_from() -> None:
    """Before anything is planted there is nothing to find."""
    for seed in SEEDS:
        assert not check(HISTORIES[seed]).findings


def test_only_the_first_violation_of_an_object_counts() -> None:
    """A user whose history went wrong once has one finding, however often later reads are wrong, too."""
    empty = [op(Kind.HISTORY, n, n + 1, answer=[0, []]) for n in range(10, 30, 2)]
    oracle = check([op(Kind.VIEW, 0, 1, "u.1.1"), *empty])
    assert [one.anomaly for one in oracle.findings] == [Anomaly.LOST_WRITE]


def test_what_comes_back_was_stale_not_lost() -> None:
    """A write that a later read shows again is called a stale read."""
    oracle = check(
        [
            op(Kind.VIEW, 0, 1, "u.1.1"),
            op(Kind.HISTORY, 2, 3, answer=[0, []]),
            op(Kind.HISTORY, 4, 5, answer=[1, ["u.1.1"]]),
        ]
    )
    assert [one.anomaly for one in oracle.findings] == [Anomaly.STALE_READ]
    assert "shows it again" in oracle.findings[0].why


def test_an_unknown_checkout_explains_an_empty_cart() -> None:
    """A checkout that got no answer may have emptied the cart, at any later time; its order then has those lines."""
    add = op(Kind.ADD, 0, 1, "u.1.1", argument=2)
    unknown = op(Kind.CHECKOUT, 2, 3, "u.1.2", outcome=Outcome.UNKNOWN)
    full = op(Kind.CART, 4, 5, answer={"u.1.1": 2})
    empty = op(Kind.CART, 6, 7, answer={})
    order = op(Kind.ORDERS, 8, 9, answer=[["u.1.2", {"u.1.1": 2}]])
    assert not check([add, unknown, full, empty, order]).findings
    none = op(Kind.ORDERS, 8, 9, answer=[])
    assert check([add, unknown, full, empty, none]).findings
    partial = op(Kind.ORDERS, 8, 9, answer=[["u.1.2", {"u.1.1": 1}]])
    assert check([add, unknown, full, empty, partial]).findings


def test_a_late_effect_of_an_unknown_write_is_no_phantom() -> None:
    """A rename that was cut may show long after, and even after a later rename; but not once it was overwritten."""
    cut = op(Kind.RENAME, 0, 1, "u.1.1", argument="u.1.1", outcome=Outcome.UNKNOWN)
    later = op(Kind.RENAME, 2, 3, "u.1.2", argument="u.1.2")
    shown = op(Kind.ACCOUNT, 4, 5, answer="u.1.1")
    other = op(Kind.ACCOUNT, 6, 7, answer="u.1.2")
    assert not check([cut, later, shown]).findings
    assert [one.promise for one in check([cut, later, shown, other]).findings] == [NAME_REGISTER]


# Mutants of the checker: each disables one rule, and the anomaly it is for goes through.


def _say_nothing(*_: object) -> None:
    return None


MUTANTS = {
    "lost view": (history.History, "_find_missing"),
    "views out of order": (history_rules, "out_of_order"),
    "view applied twice": (history_rules, "unexplained"),
    "stale name": (name.Name, "judge"),
    "forced logout": (session.Sessions, "_check_rejected"),
    "line sold twice": (cart.Cart, "_search"),
    "leaked line": (own_data, "judge"),
    "devices differ": (devices.Devices, "judge"),
}


@pytest.mark.parametrize("planted", MUTANTS)
def test_a_broken_rule_lets_its_anomaly_through(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its rule taken out the anomaly is not laid at its promise any more: the tests above can fail."""
    made = next(filter(None, (plant(planted, HISTORIES[seed], Random(seed)) for seed in SEEDS)))
    where, rule = MUTANTS[planted]
    promise, anomalies = PLANTED[planted][1:]
    monkeypatch.setattr(where, rule, _say_nothing)
    named = {(one.promise, one.anomaly) for one in check(made[1]).findings}
    assert not {(promise, anomaly) for anomaly in anomalies} & named
