"""How many replicas, and where: never too many, never too few, and no flapping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lab import record
from lab.clock import NS, FakeClock
from lab.errors import UsageError
from lab.model import Slot
from lab.scale.autoscaler import Autoscaler, Load
from lab.scale.policy import ScaleSettings, ZoneBounds, check_scale, choose_slots, decide_scale

SLOTS = tuple(Slot(name=f"{zone}{number}", zone=zone) for number in (1, 2, 3) for zone in "abc")
SETTINGS = ScaleSettings(target=50, least=3, most=9)


def decide(load: float, active: int, *, since: float | None = None) -> int:
    changed_at = None if since is None else int((1000 - since) * NS)
    return decide_scale(load, active, SETTINGS, now=1000 * NS, changed_at=changed_at)


def test_more_load_wants_more_replicas_and_less_fewer() -> None:
    """As many as carry the load at the target."""
    assert decide(400, 3) == 8
    assert decide(200, 8) == 5
    assert decide(300, 6) == 6


def test_cool_downs_are_kept() -> None:
    """After a change nothing is added for a while, and nothing is taken away for a longer while."""
    assert decide(400, 3, since=2) == 3
    assert decide(400, 3, since=3.5) == 8
    assert decide(100, 8, since=5) == 8
    assert decide(100, 8, since=11) < 8


def test_what_is_out_of_bounds_is_brought_back_at_once() -> None:
    """Whatever the load and the cool-down."""
    assert decide(1, 12, since=0) == 9
    assert decide(10_000, 1, since=0) == 3


@given(load=some.floats(0, 5000), active=some.integers(1, 12))
def test_it_stays_in_its_bounds_and_settles(load: float, active: int) -> None:
    """Under any constant load two decisions are enough, and no third one ever differs."""
    first = decide(load, active)
    assert 3 <= first <= 9
    second = decide(load, first)
    third = decide(load, second)
    assert third == second


@given(active=some.sets(some.sampled_from([slot.name for slot in SLOTS])), count=some.integers(1, 9))
def test_zones_differ_by_one_at_most_and_who_serves_goes_on(active: set[str], count: int) -> None:
    """The right number, spread; nobody is moved who need not be."""
    picked = choose_slots(SLOTS, active, count)
    assert len(picked) == len(set(picked)) == count
    by_zone = [sum(name[0] == zone for name in picked) for zone in "abc"]
    assert max(by_zone) - min(by_zone) <= 1
    for zone in "abc":
        here = {name for name in active if name[0] == zone}
        chosen = {name for name in picked if name[0] == zone}
        assert here <= chosen or chosen <= here


@pytest.mark.parametrize(
    "settings",
    [
        ScaleSettings(target=50, least=0, most=3),
        ScaleSettings(target=50, least=3, most=10),
        ScaleSettings(target=0, least=1, most=3),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: ScaleSettings) -> None:
    """Before anything runs."""
    with pytest.raises(UsageError):
        check_scale(settings, {"a": 3, "b": 3, "c": 3})


@pytest.mark.parametrize(
    ("zones", "told"),
    [
        ({"d": ZoneBounds(least=1)}, "zones.d"),
        ({"a": ZoneBounds(least=2, most=1)}, "zones.a"),
        ({"a": ZoneBounds(most=4)}, "zones.a"),
        ({"a": ZoneBounds(least=-1)}, "zones.a"),
        ({"a": ZoneBounds(least=2), "b": ZoneBounds(least=2)}, "zones"),
        ({"a": ZoneBounds(most=1), "b": ZoneBounds(most=1)}, "zones"),
    ],
)
def test_bounds_of_zones_that_make_no_sense_are_refused(zones: dict[str, ZoneBounds], told: str) -> None:
    """By themselves, or together with those of the whole cluster."""
    settings = ScaleSettings(target=50, least=3, most=8, zones=zones)
    with pytest.raises(UsageError) as refused:
        check_scale(settings, {"a": 3, "b": 3, "c": 3})
    assert refused.value.at == told


@given(active=some.sets(some.sampled_from([slot.name for slot in SLOTS])), count=some.integers(3, 6))
def test_bounds_of_zones_are_kept(active: set[str], count: int) -> None:
    """However many are wanted in all, and whoever serves now; the rest is spread over the other zones."""
    bounds = {"a": ZoneBounds(least=2), "b": ZoneBounds(most=1)}
    picked = choose_slots(SLOTS, active, count, bounds)
    by_zone = {zone: sum(name[0] == zone for name in picked) for zone in "abc"}
    assert len(picked) == count
    assert by_zone["a"] >= 2
    assert by_zone["b"] <= 1


class Cluster:
    """A balancer whose users ask `rate` times a second."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.rate, self.requests = clock, 100.0, 0.0
        self.active: tuple[str, ...] = ("a1", "b1", "c1")
        self.events: list[record.AnyEvent] = []
        self.silent: bool = False

    def load(self) -> Load | None:
        return None if self.silent else Load(requests=round(self.requests), in_flight=round(self.rate / 20))

    def scale_to(self, slots: tuple[str, ...]) -> None:
        self.active = slots

    def count(self) -> int:
        return len(self.active)

    def run(self, scaler: Autoscaler, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.sleep(1)
            self.requests += self.rate
            scaler.look()


def scaler_of(cluster: Cluster) -> Autoscaler:
    return Autoscaler(
        SETTINGS,
        SLOTS,
        cluster.load,
        lambda: cluster.active,
        cluster.scale_to,
        cluster.events.append,
        clock=cluster.clock,
    )


def test_it_follows_the_load_out_and_in() -> None:
    """Each change is told with its reason; under a constant load there is none any more."""
    cluster = Cluster(FakeClock())
    scaler = scaler_of(cluster)
    cluster.run(scaler, 20)
    assert cluster.count() == 3
    cluster.rate = 440
    cluster.run(scaler, 30)
    assert cluster.count() == 9
    cluster.rate = 160
    cluster.run(scaler, 60)
    assert 4 <= cluster.count() <= 5
    told = len(cluster.events)
    cluster.run(scaler, 60)
    assert len(cluster.events) == told
    assert all(isinstance(event, record.Scaled) and "requests per second" in event.why for event in cluster.events)


def test_requests_in_flight_are_a_load_too() -> None:
    """Slow answers pile up without more of them being asked for."""
    cluster = Cluster(FakeClock())
    settings = ScaleSettings(target=4, least=3, most=9, measure="in flight")
    scaler = Autoscaler(
        settings,
        SLOTS,
        cluster.load,
        lambda: cluster.active,
        cluster.scale_to,
        cluster.events.append,
        clock=cluster.clock,
    )
    cluster.run(scaler, 20)
    assert cluster.count() == 3
    cluster.rate = 600.0  # thirty at a time
    cluster.run(scaler, 20)
    assert cluster.count() == 8
    assert all(isinstance(event, record.Scaled) and "in flight" in event.why for event in cluster.events)


def test_a_balancer_that_is_silent_or_begins_anew_says_nothing() -> None:
    """A counter that starts over is no negative load."""
    cluster = Cluster(FakeClock())
    scaler = scaler_of(cluster)
    cluster.run(scaler, 5)
    cluster.requests = 0
    cluster.run(scaler, 1)
    for silent in (True, False):
        cluster.silent = silent
        cluster.run(scaler, 5)
    cluster.run(scaler, 5)
    assert (cluster.count(), cluster.events) == (3, [])
