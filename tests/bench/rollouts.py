"""The lab's strategies, and the ways of others, on the same app and the same load in one run."""

from __future__ import annotations

from lab.cluster.setup import Toolbox
from lab.deploy.rollout import Canary, DrainThenMove, RedBlack, Rolling, Strategy
from lab.scenario.ways import Load, upgrade_here, upgrade_peer
from tests.bench.peers import swarm

OURS: tuple[tuple[str, Strategy, int], ...] = (
    ("rolling, one at a time", Rolling(), 1),
    ("rolling, two at a time", Rolling(batch=2), 2),
    ("drain then move", DrainThenMove(), 1),
    ("canary, no holding", Canary(hold=0), 1),
    ("red/black, nothing kept", RedBlack(batch=3, keep=0), 6),
)
"""Each with how many slots leave at once at the end."""
LOAD = Load()
"""Without any retry of a client's."""


def bench_rollouts(toolbox: Toolbox) -> None:
    """v1 to v2 by each strategy and by each peer."""
    v1, v2 = "shop:v1", "shop:v2"
    ours = [upgrade_here(way, strategy, toolbox, LOAD, v1, v2, leaving=leaving) for way, strategy, leaving in OURS]
    compose = upgrade_peer("recreate", toolbox, LOAD, v1, v2, told="`docker compose up -d`")
    rollout = upgrade_peer("docker-rollout", toolbox, LOAD, v1, v2, told="docker-rollout's way")
    update = swarm(toolbox, LOAD)
    for one in (*ours, compose, rollout, *([update] if update is not None else [])):
        print(one.line())
    first = ours[0]
    print(f"failed requests, all strategies here: {sum(one.failed for one in ours)}")
    print(f"seconds, rolling vs `docker compose up -d`: {first.seconds / compose.seconds:.2f}x")
    print(f"seconds, rolling two at a time vs docker-rollout's way: {ours[1].seconds / rollout.seconds:.2f}x")
    if update is None:
        print("Swarm: this engine is in a swarm already, which is left alone")
    else:
        print(f"seconds, rolling one at a time vs Swarm's service update: {first.seconds / update.seconds:.2f}x")
