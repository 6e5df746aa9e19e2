"""What the verbs on recorded runs say, from the records alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import LabFault, RecordError
from lab.experiments.replay import read_recorded
from lab.operate import runs as command
from lab.record import ReadRecord
from lab.run.judge import judge_run, plan_of


@pytest.mark.parametrize("document", ["[1]", "{}", "3", '{"lab": 1, "name": 7}'])
@pytest.mark.parametrize(
    "read", [judge_run, plan_of, lambda seen: read_recorded(seen.folder)], ids=["judge", "plan", "again"]
)
def test_a_record_of_what_is_no_scenario_is_told_as_such(
    tmp_path: Path, document: str, read: Callable[[ReadRecord], object]
) -> None:
    """It is the record that is unfit, and no fault of the lab."""
    (tmp_path / "scenario.json").write_text(document)
    (tmp_path / "environment.json").write_text("{}")
    with pytest.raises(RecordError, match=r"scenario\.json: is no scenario of this lab: "):
        read(ReadRecord(tmp_path))


def test_a_listener_that_left_is_told_of_once() -> None:
    """Then the run ends in order, and nothing of its end stumbles over that again."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "wb") as out:
        heard = command._heard_on(out)
        with pytest.raises(LabFault, match="nobody listens any more: Broken pipe"):
            heard(b"{}\n")
        heard(b"{}\n")
