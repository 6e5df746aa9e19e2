"""The lab's strategies, and the ways of others, on the same app and the same load in one run."""

from __future__ import annotations

from lab.deploy.rollout import Canary, DrainThenMove, RedBlack, Rolling, Strategy
from lab.experiments.upgrades import UpgradeFigures, UserLoad, upgrade_here, upgrade_peer
from lab.machine.setup import Toolbox

OURS: tuple[tuple[str, Strategy, int], ...] = (
    ("rolling, one at a time", Rolling(), 1),
    ("rolling, two at a time", Rolling(batch=2), 2),
    ("drain then move", DrainThenMove(), 1),
    ("canary, no holding", Canary(hold=0), 1),
    ("red/black, nothing kept", RedBlack(keep=0), 6),
)
"""Each with how many slots leave at once at the end."""
LOAD = UserLoad()
"""Without any retry of a client's."""


def bench_rollouts(toolbox: Toolbox) -> None:
    """v1 to v2 by each strategy and by each peer."""
    v1, v2 = "shop:v1", "shop:v2"
    ours = [upgrade_here(way, strategy, toolbox, LOAD, v1, v2, leaving=leaving) for way, strategy, leaving in OURS]
    compose = upgrade_peer("recreate", toolbox, LOAD, v1, v2, told="`docker compose up -d`")
    rollout = upgrade_peer("docker-rollout", toolbox, LOAD, v1, v2, told="docker-rollout's way")
    peers = [compose, rollout]
    for one in (*ours, *peers):
        print(one.line())
    print(f"failed requests, all strategies here: {sum(one.failed for one in ours)}; expected: 0")
    for one in ours:
        must = one.unavoidable or 0.0
        print(f"{one.way}: {one.seconds / must:.2f}x of what its batches make unavoidable; expected: at most 1.5x")
    for one in ours[:2]:
        for other in peers:
            print(compare(one, other))


def compare(one: UpgradeFigures, other: UpgradeFigures) -> str:
    """A way of ours beside somebody else's."""
    return (
        f"{one.way} vs {other.way}: {one.failed} failed, not {other.failed};"
        f" {one.peak} containers at the peak, not {other.peak}; {one.seconds / other.seconds:.2f}x of its seconds"
    )
