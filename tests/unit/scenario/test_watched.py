"""`lab ui`: which run is shown, and what is said where there is nothing that could be shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.cluster.places import Places
from lab.errors import RecordError
from lab.scenario import watched


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(watched, "find_places", lambda: Places(root=tmp_path, sources=tmp_path))
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def test_without_a_name_the_newest_run_is_shown(runs: Path) -> None:
    """By its time and not by its name: a test's run has no time in its name."""
    with pytest.raises(RecordError, match="there is no run yet"):
        watched._find_run(None)
    for name, begun in (("8dac0847-main-2-run1", 1000), ("20260102-000000-aaaa", 3000), ("20260103-000000-aaaa", 2000)):
        (runs / name).mkdir()
        (runs / name / "scenario.json").write_text("{}")
        os.utime(runs / name / "scenario.json", (begun, begun))
    (runs / "not-begun").mkdir()
    assert watched._find_run(None).name == "20260102-000000-aaaa"
