"""How the bench compares."""

from __future__ import annotations

from lab.experiments.upgrades import UpgradeFigures
from tests.bench.rollouts import compare


def test_a_comparison_has_failures_peaks_and_seconds() -> None:
    """Ours first, as a ratio of theirs."""
    ours = UpgradeFigures(way="rolling", seconds=10.0, requests=900, failed=0, saved=0, peak=7)
    theirs = UpgradeFigures(way="theirs", seconds=20.0, requests=900, failed=3, saved=0, peak=12)
    told = "rolling vs theirs: 0 failed, not 3; 7 containers at the peak, not 12; 0.50x of its seconds"
    assert compare(ours, theirs) == told
