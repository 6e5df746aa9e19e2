"""A cluster that stands while tests have one run after another on it: each run's record stands for itself."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lab.errors import NothingTold
from lab.oracle.verdict import Enough
from lab.record import ReadRecord, Serving, Step
from lab.scenario.spec import ClusterSpec, Promises, UsersSpec
from lab.session import ClusterSession, Traffic
from tests.in_process import InProcessLab

pytestmark = pytest.mark.slow

USERS = UsersSpec(count=12, on_two_devices=0, think=0.02)
SPEC = ClusterSpec(release="shop:v1", zones={"a": 1, "b": 1, "c": 1})


def test_each_run_on_a_standing_cluster_says_who_serves_and_counts_what_could_fail(tmp_path: Path) -> None:
    """Replicas that got their slots before the record began, and the occasions of every promise, as a run of its own
    would have them."""
    lab = InProcessLab(tmp_path)
    ran: list[Traffic] = []
    with ClusterSession(SPEC, lab.backend, project="lab-standing", seed=1, runs=tmp_path / "runs") as standing:
        for number in range(2):
            enough = Enough(operations=50, checks=20)
            with standing.traffic(
                None, f"run {number}", users=USERS, promises=Promises(serving_at_least=2), enough=enough
            ) as traffic:
                traffic.wait("0.5s")
                if number:
                    traffic.roll("shop:v2")
                    traffic.wait("0.5s")
            ran.append(traffic)
    for traffic, result in zip(ran, standing.results, strict=True):
        events = list(ReadRecord(Path(result.folder)).events())
        before = [one for one in events if isinstance(one, Step) and one.why == "first"]
        assert {one.slot for one in before} == {"a1", "b1", "c1"}
        first = next(one for one in events if isinstance(one, Serving))
        assert first.total == 3
        assert all(one.at <= first.at for one in before)
        assert traffic.judged is not None
        occasions = traffic.judged.judgement.evidence.occasions
        assert min(occasions[name] for name in ("read_elsewhere", "sessions_elsewhere", "sent_again")) >= 5
    across = [traffic.judged.judgement.evidence.occasions["sessions_across"] for traffic in ran if traffic.judged]
    assert across[0] == 0
    assert across[1] >= 5


def test_a_run_of_one_replica_and_no_upgrade_tells_nothing(tmp_path: Path) -> None:
    """Nothing could have been lost: there was nobody else who might not have had it."""
    lab = InProcessLab(tmp_path)
    spec = msgspec.structs.replace(SPEC, zones={"a": 1})
    enough = Enough(operations=50, checks=20)
    with (
        ClusterSession(spec, lab.backend, project="lab-alone", seed=1, runs=tmp_path / "runs") as standing,
        pytest.raises(NothingTold, match="state_kept: not put to the test: 0 reads"),
        standing.traffic(None, "alone", users=USERS, promises=Promises(), enough=enough) as traffic,
    ):
        traffic.wait("0.5s")
