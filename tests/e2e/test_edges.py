"""A balancer in each zone, on real containers: users know all of them, so that none of them is needed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random

import pytest
import requests

from lab import record
from lab.backends.docker import LiveCluster, release_of, temporary_cluster
from lab.backends.state import open_state
from lab.cluster.engine_harm import EngineHarm
from lab.cluster.harm import Send, Start
from lab.deploy.rollout import Rolling, first_desired
from lab.machine.projects import run_identity
from lab.machine.setup import Toolbox
from lab.model import Operation, Role
from lab.oracle import check
from lab.oracle.service import is_proper
from lab.retry import wait_until
from lab.run.deployed import deployed, wait_settled
from lab.scenario.spec import ClusterSpec
from lab.users import Crowd, CrowdSize, Door, Tries

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time]

ZONES = ("a", "b", "c")


@contextmanager
def crowd_at(live: LiveCluster, seen: list[Operation]) -> Iterator[Crowd]:
    targets = [Door(host=host, port=port) for host, port in live.doors]
    size = CrowdSize(users=30, two_devices=0.5, think=0.1)
    with Crowd(targets, size, chance=Random(5), on_operation=seen.append, policy=Tries(most=3, timeout=5)) as crowd:
        crowd.log_in(60)
        crowd.shop()
        yield crowd
        crowd.settle(30)
        crowd.read_back(30)


@pytest.mark.prove
def test_edges_may_die_one_by_one_and_a_rollout_goes_on(toolbox: Toolbox) -> None:
    """Each edge is killed in turn while v2 is rolled out; at times one alone is left. Nobody loses anything, nobody
    is turned away, and the deployer, which asks through the same edges, gets done."""
    slots = ClusterSpec(release="shop:v1", zones=dict.fromkeys(ZONES, 1)).slots
    v1, v2 = release_of(toolbox, "shop:v1"), release_of(toolbox, "shop:v2")
    identity = run_identity(f"edges-{secrets.token_hex(3)}")
    seen: list[Operation] = []
    steps: list[record.AnyEvent] = []
    with (
        temporary_cluster(toolbox, identity, slots, v1.image, edges=ZONES) as live,
        open_state(toolbox.places) as state,
        deployed(live, state, steps.append, first=first_desired(v1, slots)) as (desk, deployer),
    ):
        wait_settled(desk, deployer, within=60)
        assert len({port for _, port in live.doors}) == len(ZONES)
        harm = EngineHarm(toolbox.engine, project=live.project)
        edges = {one.zone: one.container for one in harm.victims() if one.role is Role.BALANCER}
        with crowd_at(live, seen):
            desk.roll(v2, Rolling(), id="edges", by="a test")
            for gone in (("a",), ("a", "b"), ("b", "c"), ("c",)):
                for zone in set(ZONES) - set(gone):
                    harm.do(edges[zone], Start())
                    wait_until(
                        "the edge answers", partial(answers, live.doors[ZONES.index(zone)]), within=20, every=0.05
                    )
                for zone in gone:
                    harm.do(edges[zone], Send(signal="SIGKILL"))
                shopped = partial(has_grown, seen, len(seen) + 300)
                wait_until("users go on shopping", shopped, within=20, every=0.05)
            wait_settled(desk, deployer, within=60)
            harm.do(edges["c"], Start())
    assert {one.release for one in desk_replicas(steps)} == {"v2"}
    oracle = check(seen)
    assert not oracle.findings
    assert oracle.comparisons > 500
    lost = [one for one in seen if not is_proper(one.answered, one)]
    assert [(one.kind, [(each.result, each.edge) for each in one.tries]) for one in lost] == []
    assert max(len(one.tries) for one in seen) <= 3
    cut = [one for one in seen if len(one.tries) > 1]
    assert len(cut) < len(seen) / 10


def has_grown(seen: list[Operation], to: int) -> bool:
    return len(seen) >= to


def answers(door: tuple[str, int]) -> bool:
    try:
        return requests.get(f"http://{door[0]}:{door[1]}/login", timeout=5).ok
    except requests.ConnectionError:
        return False


def desk_replicas(steps: list[record.AnyEvent]) -> list[record.Step]:
    """The last entry of each slot."""
    last = {one.slot: one for one in steps if isinstance(one, record.Step) and one.action == "enter"}
    return list(last.values())
