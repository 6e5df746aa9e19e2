"""The files of somebody's own that a scenario rests on: a run's record says what they held."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lab.cluster.own_files import files_of
from lab.scenario.spec import Scenario


def own_files(scenario: Scenario) -> list[str]:
    """The files of one's own that a scenario rests on, by their full paths."""
    journey = (scenario.users.journey or "").rpartition(":")[0]
    composed = [str(one) for one in files_of([Path(one) for one in scenario.cluster.compose_files])]
    return [path for path in (*composed, journey, scenario.script) if path]


def digest_of(path: str) -> str:
    """What a file holds, as a digest; "" where it is not there."""
    file = Path(path)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
