"""What the bench may do to an engine, and how it compares."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.experiments.upgrades import UpgradeFigures
from lab.machine.setup import Toolbox
from tests.bench.peers import why_not_swarm
from tests.bench.rollouts import compare


def toolbox(swarm: str) -> Toolbox:
    engine: Any = SimpleNamespace(info=lambda: {"Swarm": {"LocalNodeState": swarm}})
    return cast("Toolbox", SimpleNamespace(engine=engine))


@pytest.mark.parametrize(
    ("state", "asked", "may"),
    [
        ("inactive", True, True),
        ("inactive", False, False),
        ("active", True, False),
        ("pending", True, False),
        ("locked", True, False),
    ],
)
def test_an_engine_joins_a_swarm_only_if_asked_and_in_none(state: str, asked: bool, may: bool) -> None:
    """One that is in a swarm is somebody's, and is left alone even if asked."""
    assert (why_not_swarm(toolbox(state), asked=asked) == "") == may


def test_a_comparison_has_failures_peaks_and_seconds() -> None:
    """Ours first, as a ratio of theirs."""
    ours = UpgradeFigures(way="rolling", seconds=10.0, requests=900, failed=0, saved=0, peak=7)
    theirs = UpgradeFigures(way="theirs", seconds=20.0, requests=900, failed=3, saved=0, peak=12)
    told = "rolling vs theirs: 0 failed, not 3; 7 containers at the peak, not 12; 0.50x of its seconds"
    assert compare(ours, theirs) == told
