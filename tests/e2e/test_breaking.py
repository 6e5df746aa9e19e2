"""Faults in whole runs, and by hand as a person does them: users keep their state, and what was broken is mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import record
from lab.machine.setup import Toolbox
from lab.retry import wait_until
from tests.e2e.conftest import ShopCluster
from tests.e2e.runs import Ended, is_gone, lab, scenario

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time]


def strikes(ended: Ended) -> dict[str, list[bool]]:
    """Whether each strike hit, by fault."""
    events, found = ended.events(), dict[str, list[bool]]()
    hit = {event.strike: event.hit for event in events if isinstance(event, record.StrikeProved)}
    for event in events:
        if isinstance(event, record.Strike):
            found.setdefault(event.fault, []).append(hit[event.strike])
    return found


@pytest.mark.prove
def test_a_cut_from_the_store_and_a_lost_zone_hurt_nobody(toolbox: Toolbox, tmp_path: Path) -> None:
    """A replica that can't reach the store says so and another one answers; then a zone dies as a whole. N+1 is enough:
    nobody loses anything, and every strike hit what served."""
    ended = lab(
        "run",
        scenario(
            tmp_path,
            cluster="{release: 'shop:v1', zones: {a: 1, b: 1, c: 1}, edges: zones}",
            users="{count: 24, on_two_devices: 8, think: 0.15, tries: 3, answer_timeout: 5}",
            blast_radius="{replicas: 1, least_serving: 2}",
            steps="[{settle: {for: 1}}, {strike: {do: cut, to: a1, from: store, for: 4}},"
            " {lose_zone: {zone: b, for: 2}}]",
            enough="{operations: 500, checks: 500, strikes_that_hit: 3}",
        ),
    )
    assert ended.code == 0, ended.out + ended.err
    assert strikes(ended) == {"cut from store": [True], "SIGKILL": [True, True]}
    events = ended.events()
    cut = next(event for event in events if isinstance(event, record.Strike))
    mended = next(event for event in events if isinstance(event, record.StrikeUndone))
    meanwhile = [one for one in ended.history() if cut.at < one.end and one.begin < mended.at]
    assert any(len(one.final.edge) > 1 for one in meanwhile), "no request met the replica that was cut off"
    assert all(one.final.answered and one.final.result < "500" for one in meanwhile)
    assert is_gone(toolbox, ended.project)


@pytest.mark.prove  # in this process: tests/unit/run/test_stopping.py
def test_a_run_that_must_stop_undoes_what_is_open_and_turns_its_rollout_back(tmp_path: Path) -> None:
    """Too few serve: there is no further step, the old release serves everywhere; and nothing is proved."""
    ended = lab(
        "run",
        scenario(
            tmp_path,
            stop_when="{serving_below: 3}",
            blast_radius="{replicas: 2}",
            steps="[{settle: {for: 1}}, {together: [{roll: {to: 'shop:v2', pause: 5}},"
            " {strike: {do: kill, to: c1, for: 1}}]}, {settle: {for: 60}}]",
        ),
    )
    assert ended.code == 4, ended.out + ended.err
    assert "stopped: 2 replicas served (stop_when.serving_below: 3)" in ended.out + ended.err
    events = ended.events()
    assert [event.name for event in events if isinstance(event, record.PhaseBegan)].count("settle") == 2
    [*_, last] = [event for event in events if isinstance(event, record.RolloutMoved)]
    assert last.ending == "aborted"
    [*_, serving] = [event for event in events if isinstance(event, record.Serving)]
    assert serving.by_release == {"v1": 3}


@pytest.mark.usefixtures("whole_again")
def test_a_person_breaks_a_cluster_within_bounds_and_heals_it(shop_cluster: ShopCluster) -> None:
    """Each verb says whom it hits and proves it; a second strike is refused; one `heal` mends all that is left open."""
    here = ("-p", shop_cluster.live.project)
    told = lab("cut", "a1", "--from", "store", "--dry-run", *here)
    assert (told.code, is_ready(shop_cluster, "a1")) == (0, True), told.out + told.err
    cut = lab("cut", "a1", "--from", "store", *here)
    assert cut.code == 0, cut.out + cut.err
    assert "cut from store: a1-" in cut.out
    wait_until("a1 says that it has no store", lambda: not is_ready(shop_cluster, "a1"), within=10)
    assert is_ready(shop_cluster, "b1")
    second = lab("freeze", "b1", *here)
    assert second.code == 2, second.out
    assert "2 replicas would be away" in second.err
    kill = lab("kill", "b1", "--signal", "SIGTERM", "--at-once", "2", *here)
    assert kill.code == 0, kill.out + kill.err
    healed = lab("heal", *here)
    assert healed.code == 0, healed.out + healed.err
    assert "cut from store of a1-" in healed.out
    assert all(is_ready(shop_cluster, slot.name) for slot in shop_cluster.slots)
    assert "nothing to undo" in lab("heal", *here).out


def is_ready(shop: ShopCluster, slot: str) -> bool:
    answer = shop.live.balancer.holders([slot]).get(slot)
    return answer is not None and answer.is_ready
