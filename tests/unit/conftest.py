"""What holds for every test that needs no Docker."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def free_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else this machine does, runs in this process are judged as on one that has the time."""
    monkeypatch.setattr("lab.run.machine_load.load_average", lambda: 0.0)
