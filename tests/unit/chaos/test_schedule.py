"""When and whom the monkey strikes."""

from __future__ import annotations

from random import Random

from lab.chaos.monkey import choose_victim
from lab.chaos.schedule import MonkeySettings, draw_gaps
from lab.model import Replica, ReplicaState

SETTINGS = MonkeySettings(at_most=50, mean_gap=3.0, least_gap=1.5, least_serving=5)
SERVING = [
    Replica(
        container=f"{number:064x}", name=f"s{number}-1", slot=f"s{number}", zone="a", release="v1",
        state=ReplicaState.RUNNING,
    )
    for number in range(6)
]  # fmt: skip


def test_one_seed_is_one_schedule() -> None:
    """The same seed strikes at the same times, another at others."""
    assert draw_gaps(SETTINGS, Random(7)) == draw_gaps(SETTINGS, Random(7))
    assert draw_gaps(SETTINGS, Random(7)) != draw_gaps(SETTINGS, Random(8))


def test_gaps_keep_the_least_and_come_near_the_mean() -> None:
    """No gap under the least; the mean of many is the asked one."""
    many = [gap for seed in range(100) for gap in draw_gaps(SETTINGS, Random(seed))]
    assert min(many) >= SETTINGS.least_gap
    assert abs(sum(many) / len(many) - SETTINGS.mean_gap) < 0.1


def test_nobody_is_struck_while_a_slot_is_empty() -> None:
    """One at a time: the next strike waits until all slots serve again."""
    assert choose_victim(SERVING[:5], 6, SETTINGS, Random(1)) is None
    assert choose_victim(SERVING, 6, SETTINGS, Random(1)) in SERVING


def test_a_strike_never_leaves_too_few() -> None:
    """With six serving and six wanted at least, there is no victim."""
    careful = MonkeySettings(least_serving=6)
    assert choose_victim(SERVING, 6, careful, Random(1)) is None


def test_a_victim_does_not_depend_on_the_order_in_which_replicas_are_listed() -> None:
    """The engine may list replicas in any order; the seed alone decides."""
    assert choose_victim(SERVING, 6, SETTINGS, Random(3)) == choose_victim(SERVING[::-1], 6, SETTINGS, Random(3))
