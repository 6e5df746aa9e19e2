"""How often the gate turns back a release that is as good as the old one: measured over simulated null rollouts."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from random import Random
from typing import NamedTuple

from lab.deploy.gate import EDGES_MS, Figures, GateVerdict, JudgeSettings, judge
from lab.deploy.results import WINDOW
from lab.machine.setup import Toolbox

SHARES = (0.1, 0.5, 1.0)
SECONDS_A_STAGE = 15
TRIES_A_SECOND = 60
FAILING = (0.0, 0.001, 0.005, 0.01)
"""Shares of tries that fail, alike in both releases: none, one of a thousand, half of what is allowed, all of it."""


class NullRollouts(NamedTuple):
    """What came of rollouts to a release that is no worse."""

    rollouts: int
    turned_back: int
    asked: int
    """How often the gate was asked in all: once a second in each stage, on the same sliding window."""

    @property
    def rate(self) -> float:
        return self.turned_back / self.rollouts


def simulate_null_rollouts(rollouts: int, seed: int = 1, *, worse: float = 0.0) -> NullRollouts:
    """So many canary rollouts in which both releases fail alike, and take alike long; or the new one fails in a share
    that is `worse` by so much, to see that this is found."""
    random, turned_back, asked = Random(seed), 0, 0
    for number in range(rollouts):
        failing = FAILING[number % len(FAILING)]
        looks = _one_rollout(random, failing, failing + worse)
        asked += abs(looks)
        turned_back += looks < 0
    return NullRollouts(rollouts, turned_back, asked)


def _one_rollout(random: Random, failing: float, failing_new: float) -> int:
    """How often the gate was asked; negative if it turned the release back."""
    new: deque[Figures] = deque(maxlen=WINDOW)
    old: deque[Figures] = deque(maxlen=WINDOW)
    settings, looks = JudgeSettings(), 0
    for share in SHARES:
        for second in range(SECONDS_A_STAGE):
            arrived = round(TRIES_A_SECOND * random.uniform(0.7, 1.3))
            at_new = sum(random.random() < share for _ in range(arrived))
            new.append(_second(random, at_new, failing_new))
            old.append(_second(random, arrived - at_new, failing))
            looks += 1
            found = judge(_sum(new), _sum(old), settings, waited=float(second))
            if found.verdict is GateVerdict.ROLL_BACK:
                return -looks
    return looks


def _second(random: Random, tries: int, failing: float) -> Figures:
    bins, failed = [0] * (len(EDGES_MS) + 1), 0
    for _ in range(tries):
        if random.random() < failing:
            failed += 1
        else:
            bins[bisect_left(EDGES_MS, random.lognormvariate(1.6, 0.8))] += 1
    return Figures(tries=tries, failed=failed, latencies=tuple(bins))


def _sum(seconds: deque[Figures]) -> Figures:
    return Figures(
        tries=sum(one.tries for one in seconds),
        failed=sum(one.failed for one in seconds),
        latencies=tuple(map(sum, zip(*(one.latencies for one in seconds), strict=True))),
    )


def bench_gate(_: Toolbox) -> None:
    """1,000 null rollouts."""
    seen = simulate_null_rollouts(1000)
    print(
        f"gate, {seen.rollouts} rollouts to a release that is no worse, asked {seen.asked} times:"
        f" {seen.turned_back} turned back ({seen.rate:.2%})"
    )
