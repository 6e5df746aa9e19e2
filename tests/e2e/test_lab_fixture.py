"""The lab's own promises, asserted as anybody would assert theirs: by the pytest plugin's fixture, on one cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import StateLost
from lab.oracle.promises import AVAILABLE, LOGGED_IN, RECOVERS
from lab.pytest_plugin import Lab
from lab.record import ContainerEvent, ReadRecord, Serving
from tests.e2e.runs import first_tries_failed

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time, pytest.mark.lab(image="shop:v1", zones=3, replicas=6)]


def record_of(lab: Lab) -> ReadRecord:
    """Of the run that has just ended."""
    return ReadRecord(Path(lab.results[-1].folder))


def count_at_peak(seen: ReadRecord, before: int) -> int:
    """The most app containers that ran at once, by the engine's own events; `before` ran when the record began."""
    running, peak = before, before
    for event in seen.events():
        if isinstance(event, ContainerEvent) and event.role == "app":
            running += (event.action == "start") - (event.action == "die")
            peak = max(peak, running)
    return peak


def test_a_rolling_upgrade_fails_no_first_try(lab: Lab) -> None:
    """Six replicas upgraded under load: of at least 2,000 requests, none fails, without any client's retry."""
    with lab.traffic(users=60, on_two_devices=20, think=0.3, tries=1, promises={"serving_at_least": 6}) as traffic:
        lab.wait("2s")
        lab.roll("shop:v2")
        lab.wait("2s")
    assert traffic.kept == 60
    seen = record_of(lab)
    history = list(seen.history())
    assert len(history) >= 2000
    assert first_tries_failed(history) == []
    assert {one.tries[0].release for one in history} >= {"v1", "v2"}
    assert max(event.total for event in seen.events() if isinstance(event, Serving)) == 6
    assert count_at_peak(seen, 6) == 7


@pytest.mark.prove
def test_a_lost_zone_and_a_frozen_replica_hurt_nobody(lab: Lab) -> None:
    """Two replicas die in one moment, and later one does nothing: nobody is out of tries, all is made good in time."""
    with lab.traffic(users=30, think=0.2, promises={"recovers_within": 30}) as traffic:
        lab.wait("2s")
        lab.lose_zone("b", lasts="2s")
        lab.strike("freeze", to="a1", lasts="1s")
    assert traffic.kept == 30
    assert traffic.strikes_that_hit >= 3
    assert traffic.most_tries <= 3
    assert traffic.judged is not None
    assert traffic.judged.judgement.evidence.checks[RECOVERS] >= 3


def test_a_release_that_logs_users_out_is_lost_state(lab: Lab) -> None:
    """The fixture's `with` block raises the finding, with its story, when it ends."""
    with pytest.raises(StateLost, match="forced logout") as raised, lab.traffic(users=20, think=0.2):
        lab.roll("shop:v2-logs-out", batch=3)
    assert f"BROKEN {LOGGED_IN}" in str(raised.value)


def test_a_bad_release_is_rolled_back_and_nobody_is_harmed(lab: Lab) -> None:
    """A release that is never ready is given up; the old one serves all the while."""
    with lab.traffic(users=20, think=0.2, promises={"available": 1.0}) as traffic:
        result = lab.roll("shop:v2-never-ready", ready_within=3)
    assert result.rolled_back
    assert traffic.kept == 20
    assert traffic.judged is not None
    assert traffic.judged.judgement.evidence.checks[AVAILABLE] > 0
    assert {one.tries[0].release for one in record_of(lab).history()} == {"v1"}
