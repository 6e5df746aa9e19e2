"""What the verbs on recorded runs say, from the records alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.cluster.places import Places
from lab.errors import LabFault
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


def test_a_listener_that_left_is_told_of_once() -> None:
    """Then the run ends in order, and nothing of its end stumbles over that again."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "wb") as out:
        heard = command._heard_on(out)
        with pytest.raises(LabFault, match="nobody listens any more: Broken pipe"):
            heard(b"{}\n")
        heard(b"{}\n")
