"""What the verbs on recorded runs say, from the records alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cluster.places import Places
from lab.scenario import command


def test_runs_are_listed_beside_whatever_else_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the pictures that `lab duel` leaves."""
    run = tmp_path / "runs" / "20260101-000000-aaaa"
    run.mkdir(parents=True)
    (tmp_path / "runs" / "duel-20260101-000000.svg").write_text("<svg/>")
    monkeypatch.setattr(command, "find_places", lambda: Places(root=tmp_path, sources=tmp_path))
    said: list[str] = []
    command.list_runs(say=said.append)
    assert said == [f"{run.name}  not judged       "]
