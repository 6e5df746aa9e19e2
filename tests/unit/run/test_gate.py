"""What a gate answers while a run goes on: never "go on" without enough evidence, whatever came so far."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lab.clock import SYSTEM_CLOCK
from lab.console.gate import LEFT_ALONE, Gate, NextRun
from lab.errors import SetupError
from lab.record import AnyEvent, CommandBegan, CommandEnded, ReadRecord
from lab.retry import wait_until
from lab.run.gate import GateStatus, answer
from lab.run.judge import judge_run, scenario_of
from lab.web.gate import GateServer
from tests.golden import unpack
from tests.unit.run.watched import DEPLOY, DEPLOY_EMPTY, WATCHED, Deployment, Watched, deployment, watch

pytestmark = pytest.mark.slow


@pytest.fixture
def app() -> Iterator[Deployment]:
    with deployment() as app:
        yield app


def asked(port: int, *, host: str = "") -> tuple[int, dict[str, Any]]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    client.request("GET", "/gate", headers={"Host": host} if host else {})
    got = client.getresponse()
    body = json.loads(got.read())
    client.close()
    return got.status, body


def watched_at_a_gate(app: Deployment, folder: Path, deploy: str) -> tuple[list[tuple[int, dict[str, Any]]], Watched]:
    """All that a gate said from before the run until it was judged, and the run."""
    said: list[tuple[int, dict[str, Any]]] = []
    ended: list[Watched] = []
    text = WATCHED.replace("for: 0.4", "for: 1.5")
    run = threading.Thread(target=lambda: ended.append(watch(app, folder, text, deploy)))
    with GateServer(Gate(NextRun(folder / "runs")).ask, None) as server:
        said.append(asked(server.port))
        run.start()

        def is_judged() -> bool:
            said.append(asked(server.port))
            return bool(said[-1][1].get("is_over"))  # not said while there is no run yet

        wait_until("the gate knows the end", is_judged, within=60, every=0.1)
        run.join()
    return said, ended[0]


def test_it_says_go_on_only_after_enough(app: Deployment, tmp_path: Path) -> None:
    """Too early before the run, before the command has ended, and before every user was served by the new release."""
    said, ended = watched_at_a_gate(app, tmp_path, DEPLOY)
    assert ended.code == 0, ended.lines
    assert said[0] == (425, said[0][1])
    assert said[0][1]["why"] == "the run has not begun"
    assert said[-1][0] == 200
    assert {status for status, _ in said} == {425, 200}
    for status, figures in said:
        if status == GateStatus.GO_ON:
            assert figures["users_served_by_new"] == 6
            assert figures["operations"] >= 20
            assert figures["comparisons"] >= 6
    assert [status for status, _ in said] == sorted((status for status, _ in said), reverse=True)


def test_it_says_stop_as_soon_as_a_user_is_hurt(app: Deployment, tmp_path: Path) -> None:
    """While the run goes on, with who was hurt first."""
    said, ended = watched_at_a_gate(app, tmp_path, DEPLOY_EMPTY)
    assert ended.code == 1
    assert 200 not in {status for status, _ in said}
    first = next(figures for status, figures in said if status == GateStatus.STOP)
    assert not first["is_over"]
    assert first["broken"]
    assert first["first"]
    assert first["users_hurt"] > 0


def test_a_command_that_failed_is_no_reason_to_go_on(app: Deployment, tmp_path: Path) -> None:
    """Though nobody was hurt: exit 3."""
    said, ended = watched_at_a_gate(app, tmp_path, DEPLOY.replace("')", "'); raise SystemExit(7)"))
    assert ended.code == 3
    assert 200 not in {status for status, _ in said}
    assert said[-1][0] == GateStatus.STOP
    assert "ended with 7" in said[-1][1]["why"]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("name", ["demo-held", "memory"])
def test_whatever_came_so_far_it_never_says_go_on_without_enough(name: str, share: float, tmp_path: Path) -> None:
    """Records of before, cut at some line: their scenarios ask for more than a part of them holds."""
    folder = unpack(name, tmp_path)
    (folder / "verdict.json").unlink(missing_ok=True)
    until = None
    for file in ("history.jsonl", "events.jsonl"):
        lines = (folder / file).read_bytes().splitlines(keepends=True)
        if file == "history.jsonl":
            kept = lines[: int(share * len(lines))]
            until = json.loads(kept[-1])["end"] if kept else 0
        else:
            kept = [line for line in lines if json.loads(line)["at"] <= (until or 0)]
        (folder / file).write_bytes(b"".join(kept))
    seen = ReadRecord(folder)
    scenario, judged = scenario_of(seen), judge_run(seen, so_far=True)
    found = answer(name, judged, scenario, list(seen.events()), is_over=False)
    if found.status is GateStatus.GO_ON:
        assert found.operations >= scenario.enough.operations
        assert found.users_served_by_new >= max(1, scenario.enough.users_served_by_new)
        assert not found.broken
    if name == "memory":
        assert found.status is not GateStatus.GO_ON
    if share == 0:
        assert found.status is GateStatus.TOO_EARLY


def test_no_command_may_be_still_to_come(app: Deployment, tmp_path: Path) -> None:
    """However much was compared by then."""
    ended = watch(app, tmp_path)
    seen = ReadRecord(ended.folder)
    events: list[AnyEvent] = [one for one in seen.events() if not isinstance(one, CommandEnded)]
    found = answer("r", judge_run(seen), scenario_of(seen), events, is_over=False)
    assert (found.status, found.why) == (GateStatus.TOO_EARLY, "0 of 1 commands have ended")
    assert any(isinstance(one, CommandBegan) for one in events)


def test_a_run_that_was_over_before_is_not_the_next_one(app: Deployment, tmp_path: Path) -> None:
    """Else a pipeline would go on by what another one had found. Nor is one whose lab was killed."""
    runs = tmp_path / "runs"
    watch(app, tmp_path)
    killed = runs / "20200101-000000-dead"
    killed.mkdir()
    (killed / "events.jsonl").touch()
    import os

    old = SYSTEM_CLOCK.wall().timestamp() - LEFT_ALONE - 5
    os.utime(killed / "events.jsonl", (old, old))
    find = NextRun(runs)
    assert find() is None
    status, body = Gate(find).ask()
    assert (status, msgspec.json.decode(body)["run"]) == (425, "")
    fresh = watch(app, tmp_path, WATCHED.replace("u{n}", "{name}"))
    assert find() == fresh.folder


def test_nobody_asks_it_from_another_site_or_at_a_taken_port(app: Deployment, tmp_path: Path) -> None:
    """A page that made another name mean this machine gets nothing."""
    assert app
    with GateServer(Gate(lambda: None).ask, None) as server:
        assert asked(server.port, host="evil.example")[0] == 400
        assert asked(server.port, host=f"localhost:{server.port}")[0] == 425
        with pytest.raises(SetupError, match="can't serve the gate"):
            GateServer(Gate(lambda: tmp_path).ask, server.port)
