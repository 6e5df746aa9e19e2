"""A deployer as a process of its own, as far as it can be had without one: told through its standard input."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.operate import rollouts as hand
from lab.retry import wait_until
from lab.run.deployer_processes import GO
from lab.state.file import FileState
from tests.unit.deploy.ground import Ground


@pytest.mark.parametrize("rehearse", [True, False])
def test_a_deployer_ends_with_whoever_listens_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, rehearse: bool
) -> None:
    """Also one that asks for leave before each act, while it has nothing to do and so asks for nothing."""
    ground: list[Ground] = []

    @contextmanager
    def at_hand(_project: str | None, _report: object, **told: object) -> Iterator[hand.StandingCluster]:
        with FileState(tmp_path / "state.db") as state:
            ground.append(Ground(state))
            deployer = ground[0].deployer("one", told["boundary"])  # type: ignore[arg-type]
            yield hand.StandingCluster(project="c", desk=ground[0].desk, deployer=deployer)

    told, tell = os.pipe()
    monkeypatch.setattr(hand, "at_hand", at_hand)
    monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=io.BytesIO()))
    with os.fdopen(told, "rb") as answers, os.fdopen(tell, "wb", buffering=0) as leave:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=answers))
        leave.write(GO * 200)
        lead = threading.Thread(
            target=lambda: hand.lead(project="c", events=True, rehearse=rehearse, script=None, say=print), daemon=True
        )
        lead.start()
        wait_until("it has nothing to do", lambda: bool(ground) and ground[0].desk.is_settled(), within=10, every=0.05)
        leave.close()
        lead.join(5)
    assert not lead.is_alive()
