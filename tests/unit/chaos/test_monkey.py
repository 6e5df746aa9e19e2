"""The monkey itself: it strikes whom it may, as often as it may, and says what it would do where it is leashed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec
import pytest

from lab import record
from lab.chaos.faults import FAULTS
from lab.chaos.guard import BlastRadius
from lab.chaos.monkey import Monkey
from lab.chaos.schedule import Calendar, MonkeySettings
from lab.cluster.harm import Pause, Send, Unpause, Victim
from lab.errors import LabFault
from lab.model import Role
from lab.retry import wait_until
from lab.testing.fake_cluster import FakeHarm
from tests.unit.chaos.making import Field, replica, striking

ON_REPLICAS = tuple(name for name, one in FAULTS.items() if Role.APP in one.hits)
QUICK = MonkeySettings(at_least=6, at_most=6, mean_gap=0.002, least_gap=0.001, seconds=0.01, least_serving=5)
EVERYBODY = ("app", "balancer/a", "balancer/b")


@contextmanager
def monkey_in(
    field: Field, folder: Path, settings: MonkeySettings, *, seed: int = 1, radius: BlastRadius | None = None
) -> Iterator[Monkey]:
    with striking(folder, field.target, events=field.events, radius=radius) as striker:
        monkey = Monkey(striker, field.answering, 6, settings, Random(seed), field.events.append)
        with monkey:
            yield monkey


def is_done(monkey: Monkey) -> bool:
    return monkey.is_done


@pytest.mark.parametrize("seed", range(3))
def test_it_strikes_as_often_as_it_may_and_only_who_has_opted_in(tmp_path: Path, seed: int) -> None:
    """With every fault of the table, over replicas and two balancers; the third is never struck, and all is undone."""
    field, spec = Field(), msgspec.structs.replace(QUICK, at_most=20, groups=EVERYBODY, do=ON_REPLICAS)
    with monkey_in(field, tmp_path, spec, seed=seed) as monkey:
        wait_until("all strikes are made", lambda: is_done(monkey), within=30, every=0.01)
        field.answering()
    assert len(field.struck()) == 20
    assert "balancer-c" not in field.struck()
    assert {name.partition("-")[0] for name in field.struck()} >= {"balancer"}
    assert len({event.fault for event in field.events if isinstance(event, record.Strike)}) >= 4
    assert all(one.is_running and not one.is_paused and one.networks for one in field.target.there.values())
    assert all(event.hit for event in field.events if isinstance(event, record.StrikeProved))


def test_a_leashed_monkey_touches_nothing_and_says_whom_it_would_have_struck(tmp_path: Path) -> None:
    """It tells as many strikes as it would make; let loose on the same seed it strikes the same slot first."""
    told, done = Field(), Field()
    (tmp_path / "loose").mkdir()
    with monkey_in(told, tmp_path, msgspec.structs.replace(QUICK, leashed=True)) as leashed:
        wait_until("all is told", lambda: is_done(leashed), within=30, every=0.01)
    assert told.target.acts == []
    assert {type(event) for event in told.events} == {record.WouldStrike}
    assert len(told.events) == QUICK.at_most
    with monkey_in(done, tmp_path / "loose", QUICK) as loose:
        wait_until("all is done", lambda: is_done(loose), within=30, every=0.01)
    would = [event.victim for event in told.events if isinstance(event, record.WouldStrike)]
    assert would[0] == done.struck()[0]


def test_nothing_is_struck_while_a_slot_is_empty_or_before_all_is_well(tmp_path: Path) -> None:
    """One replica is away from the start, and nobody makes it again: the monkey waits; once it is there it strikes."""
    field = Field()
    field.mends = False
    away = replica("b2").container
    field.target.do(away, Pause())
    looked = len(field.target.acts)
    with monkey_in(field, tmp_path, QUICK) as monkey:
        wait_until("it has looked often enough", lambda: field.looks > 10, within=10, every=0.01)
        assert field.struck() == []
        assert len(field.target.acts) == looked
        field.mends = True
        field.target.do(away, Unpause())
        wait_until("it strikes", lambda: is_done(monkey), within=30, every=0.01)
    assert len(field.struck()) == QUICK.at_most


def test_a_strike_that_hit_nothing_is_made_again_and_not_for_ever(tmp_path: Path) -> None:
    """An engine that confirms nothing: no strike counts; after as many misses as strikes were due it gives up."""
    field = Field()
    field.target.is_silent = True
    with monkey_in(field, tmp_path, msgspec.structs.replace(QUICK, at_most=2)) as monkey:
        wait_until("it gives up", lambda: monkey.error is not None, within=60, every=0.02)
        with pytest.raises(LabFault, match="3 strikes hit nothing"):
            is_done(monkey)
    assert monkey.strikes == 0
    assert any(isinstance(event, record.Trouble) for event in field.events)


def test_a_calendar_strikes_each_group_in_its_turn_and_says_when(tmp_path: Path) -> None:
    """A week in model time, one strike a day in each of two zones."""
    week = Calendar(begins="2026-03-02", days=7, most_a_day=1, apart=0, day_lasts=0.05)
    spec = msgspec.structs.replace(QUICK, at_most=100, groups=("app/a", "app/b"), calendar=week, leashed=True)
    field = Field()
    with monkey_in(field, tmp_path, spec) as monkey:
        wait_until("the week is over", lambda: is_done(monkey), within=30, every=0.01)
    told = [event for event in field.events if isinstance(event, record.WouldStrike)]
    assert len(told) == 10
    assert {event.victim[0] for event in told} == {"a", "b"}
    assert [event.when[:3] for event in told] == [day for day in ("Mon", "Tue", "Wed", "Thu", "Fri") for _ in "ab"]


def test_a_monkey_that_is_ended_undoes_what_lasts(tmp_path: Path) -> None:
    """In the middle of a freeze of a minute the run ends: nothing stays frozen."""
    field, spec = Field(), msgspec.structs.replace(QUICK, do=("freeze",), seconds=60)
    with monkey_in(field, tmp_path, spec):
        wait_until("somebody is frozen", lambda: any(one.is_paused for one in snapshot(field.target)), within=30)
    assert not any(one.is_paused for one in snapshot(field.target))
    assert not any(isinstance(harm, Send) for _, harm in field.target.acts)


def snapshot(target: FakeHarm) -> list[Victim]:
    return list(target.there.values())
