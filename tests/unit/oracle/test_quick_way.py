"""The quick way of the oracle, for operations that nothing overlaps, decides what the whole machinery decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest
from msgspec.structs import replace

from lab.model import Operation
from lab.oracle import Oracle, cart, check, history, name
from lab.oracle.ledger import Ledger
from tests.unit.oracle.making import with_quiet_points
from tests.unit.oracle.mutations import PLANTED, plant
from tests.unit.oracle.reference import MS, Weather, simulate

BUSY = Weather(users=6, operations=110, think=15 * MS, cut=0.004, unsent=0.03, storm=0.03)
CALM = Weather(users=6, operations=110, think=350 * MS, latency=4 * MS, devices=(1, 1, 2))
HISTORIES = {(kind, seed): simulate(seed, weather) for kind, weather in enumerate((BUSY, CALM)) for seed in range(3)}


def found(oracle: Oracle) -> list[tuple[str, str, str, str]]:
    """All that was found."""
    return sorted((one.user, one.promise, one.anomaly, one.why) for one in oracle.findings)


def slowly(operations: Iterable[Operation], monkeypatch: pytest.MonkeyPatch) -> Oracle:
    """Judged with nothing taken the quick way."""
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "take_alone", lambda *_: False)
        for kind in (history.History, name.Name):
            patch.setattr(kind, "fits", lambda *_: False)
        return check(operations)


@pytest.mark.parametrize("key", HISTORIES)
def test_valid_histories_come_to_the_same(key: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """No finding either way, and every comparison is counted once."""
    marked = with_quiet_points(HISTORIES[key])
    ways = [check(marked), check(HISTORIES[key]), slowly(marked, monkeypatch)]
    for oracle in ways:
        assert not oracle.findings
        assert oracle.counts == ways[0].counts
        assert oracle.comparisons > 1000


@pytest.mark.parametrize("planted", PLANTED)
def test_planted_anomalies_come_to_the_same(planted: str) -> None:
    """Found from one quiet point to the next as from the whole history: the same user, promise, name and reason."""
    tried = 0
    for key, valid in HISTORIES.items():
        made = plant(planted, valid, Random(key[1]))
        if made is not None:
            tried += 1
            spoilt = made[1]
            assert found(check(with_quiet_points(spoilt))) == found(check(spoilt)) != []
    assert tried >= 2


def test_nearly_everything_goes_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where users do one thing at a time."""
    taken: Counter[bool] = Counter()
    really = Ledger.take_alone

    def count(self: Ledger, operation: Operation) -> bool:
        took = really(self, operation)
        taken[took] += 1
        return took

    monkeypatch.setattr(Ledger, "take_alone", count)
    check(with_quiet_points(simulate(5, replace(CALM, unsent=0, cut=0, storm=0))))
    assert taken[True] > 15 * taken[False]


@pytest.mark.parametrize(
    ("kind", "planted"), [(history.History, "lost view"), (cart.Cart, "lost line"), (name.Name, "lost name")]
)
def test_a_quick_way_that_takes_everything_is_noticed(
    kind: type[history.History | cart.Cart | name.Name], planted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison above can fail: where everything fits, a planted anomaly slips through."""
    calm = [(seed, valid) for (weather, seed), valid in HISTORIES.items() if weather == 1]
    made = next(made for seed, valid in calm if (made := plant(planted, valid, Random(seed))) is not None)
    spoilt = with_quiet_points(made[1])
    right = found(check(spoilt))
    monkeypatch.setattr(kind, "fits", lambda *_: True)
    assert found(check(spoilt)) != right
