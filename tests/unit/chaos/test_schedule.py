"""When and whom the monkey strikes."""

from __future__ import annotations

from datetime import date, time, timedelta
from itertools import pairwise
from random import Random

import msgspec
import pytest

from lab.chaos.monkey import choose_victim, is_opted_in
from lab.chaos.schedule import Calendar, MonkeySettings, check_monkey, draw_days, draw_gaps, draw_schedule
from lab.cluster.harm import Victim
from lab.errors import UsageError
from lab.model import Replica, ReplicaState, Role
from tests.unit.chaos.making import edge, replica

SETTINGS = MonkeySettings(at_most=50, mean_gap=3.0, least_gap=1.5, least_serving=5)
VICTIMS = [replica(f"{zone}{number}") for zone in "abc" for number in (1, 2)]
MONTH = Calendar(begins="2026-03-01", days=31, time_zone="Europe/Berlin", most_a_day=2, apart=30)
DAILY = MonkeySettings(at_most=1000, groups=("app/a", "app/b", "balancer"), probability=0.5, calendar=MONTH)


def serving(*victims: Victim) -> list[Replica]:
    return [
        Replica(
            container=one.container,
            name=one.name,
            slot=one.slot,
            zone=one.zone,
            release=one.release,
            state=ReplicaState.RUNNING,
        )
        for one in victims
    ]


ANSWERING = serving(*VICTIMS)


def test_one_seed_is_one_schedule() -> None:
    """The same seed strikes at the same times, another at others; by gaps and by the calendar."""
    for settings in (SETTINGS, DAILY):
        assert draw_schedule(settings, Random(7)) == draw_schedule(settings, Random(7))
        assert draw_schedule(settings, Random(7)) != draw_schedule(settings, Random(8))


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_gaps_keep_the_least_and_come_near_the_mean(jitter: float) -> None:
    """No gap under the least; the mean of many is the asked one, with more or less chance in it."""
    settings = msgspec.structs.replace(SETTINGS, jitter=jitter)
    many = [gap for seed in range(100) for gap in draw_gaps(settings, Random(seed))]
    assert min(many) >= settings.least_gap
    assert abs(sum(many) / len(many) - settings.mean_gap) < 0.1
    assert (len(set(many)) == 1) is (jitter == 0)


def test_half_the_chance_is_half_the_strikes_and_twice_the_gaps() -> None:
    """A strike that is due and not made leaves its time to the next."""
    half = msgspec.structs.replace(SETTINGS, at_most=2000, probability=0.5)
    gaps = draw_gaps(half, Random(1))
    assert 900 < len(gaps) < 1100
    assert abs(sum(gaps) / len(gaps) - 2 * half.mean_gap) < 0.5


@pytest.mark.parametrize("seed", range(20))
def test_a_month_keeps_to_working_hours_and_to_its_caps(seed: int) -> None:
    """Every strike falls on a working day between nine and three by Berlin's clocks, also after they change; no group
    has more a day than it may, and no two are nearer than half an hour."""
    drawn = draw_days(DAILY, MONTH, Random(seed))
    assert drawn == sorted(drawn)
    assert any(at.date() > date(2026, 3, 29) for at, _ in drawn)
    for at, _ in drawn:
        assert at.weekday() < 5
        assert time(9) <= at.time() <= time(15)
        assert at.utcoffset() == timedelta(hours=1 if at.date() < date(2026, 3, 29) else 2)
    for (before, _), (after, _) in pairwise(drawn):
        assert after - before >= timedelta(minutes=MONTH.apart)
    a_day = [(at.date(), group) for at, group in drawn]
    assert max(a_day.count(one) for one in a_day) <= MONTH.most_a_day
    assert {group for _, group in drawn} == set(DAILY.groups)


def test_model_time_takes_as_long_as_its_working_days() -> None:
    """22 working days of March at 4 s are 88 s at most, whatever was drawn; the order is kept."""
    due = draw_schedule(DAILY, Random(4))
    assert all(one.gap >= 0 for one in due)
    assert 22 * 4 * 0.8 < sum(one.gap for one in due) <= 22 * 4
    assert due[0].when.startswith("Mon 02 Mar") or due[0].when.startswith("Tue 03 Mar")


def test_the_cap_holds_for_a_calendar_too() -> None:
    """At most so many, whatever the days would give."""
    assert len(draw_schedule(msgspec.structs.replace(DAILY, at_most=5), Random(4))) == 5


def test_nobody_is_struck_while_a_slot_is_empty() -> None:
    """One at a time: the next strike waits until all slots serve again."""
    assert choose_victim(VICTIMS[:5], ANSWERING[:5], 6, SETTINGS, Random(1)) is None
    assert choose_victim(VICTIMS, ANSWERING, 6, SETTINGS, Random(1)) in VICTIMS


def test_a_strike_never_leaves_too_few() -> None:
    """With six serving and six wanted at least, there is no victim."""
    careful = MonkeySettings(least_serving=6)
    assert choose_victim(VICTIMS, ANSWERING, 6, careful, Random(1)) is None


def test_a_victim_does_not_depend_on_the_order_in_which_replicas_are_listed() -> None:
    """The engine may list replicas in any order; the seed alone decides."""
    first = choose_victim(VICTIMS, ANSWERING, 6, SETTINGS, Random(3))
    assert first == choose_victim(VICTIMS[::-1], ANSWERING[::-1], 6, SETTINGS, Random(3))


def test_a_replica_that_answers_nobody_is_not_chosen() -> None:
    """A newcomer without a slot, a paused or a dead one would prove nothing."""
    idle = replica("a1", 9)
    asleep = msgspec.structs.replace(VICTIMS[0], is_paused=True)
    may = [idle, asleep, VICTIMS[1]]
    chosen = [choose_victim(may, ANSWERING, 6, SETTINGS, Random(seed)) for seed in range(50)]
    assert chosen == [VICTIMS[1]] * 50


def test_only_what_has_opted_in_is_opted_in() -> None:
    """A tier, or its share of a zone; a name that only begins alike is another."""
    assert is_opted_in(replica("a1"), ["app"])
    assert is_opted_in(replica("a1"), ["app/a"])
    assert not is_opted_in(replica("a1"), ["app/b", "balancer", "ap", "app/"])
    assert not is_opted_in(edge("a"), ["app", "app/a", "balancer/b"])
    assert not is_opted_in(msgspec.structs.replace(edge("a"), role=Role.STORE), ["app", "balancer"])


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"groups": ("deployer",)}, "groups"),
        ({"groups": ("app/",)}, "groups"),
        ({"groups": ()}, "groups"),
        ({"probability": 0.0}, "probability"),
        ({"jitter": 1.5}, "probability"),
        ({"calendar": Calendar(time_zone="Mars/Olympus")}, "calendar.time_zone"),
        ({"calendar": Calendar(begins="tomorrow")}, "calendar"),
        ({"calendar": Calendar(opens="15:00", closes="09:00")}, "calendar"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, object], key: str) -> None:
    """With the key they stand under."""
    with pytest.raises(UsageError) as told:
        check_monkey(msgspec.structs.replace(SETTINGS, **change))
    assert told.value.at == key
