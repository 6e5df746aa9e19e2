"""How somebody's app stops while users are in it: their own stop signal, their own time, and who is to blame."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.machine.setup import Toolbox
from lab.record import AppStopped, CommandSaid, ContainerEvent, IdleClosed, Step
from tests.e2e.runs import Ended, first_tries_failed, is_gone, lab
from tests.e2e.stops import APP, build

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time]


@pytest.fixture(scope="module", autouse=True)
def stops_images(toolbox: Toolbox) -> None:
    """Each way to stop in two releases."""
    for stops in ("drains", "exits", "shell", "node"):
        for version in ("v1", "v2"):
            build(toolbox, stops, version)


def run(toolbox: Toolbox, tmp_path: Path, stops: str, *more: tuple[str, str]) -> Ended:
    text = (APP / "lab.yaml").read_text().replace("stops:drains-", f"stops:{stops}-")
    for change in more:
        assert change[0] in text
        text = text.replace(*change)
    (tmp_path / "lab.yaml").write_text(text)
    (tmp_path / "compose.yaml").write_text((APP / "compose.yaml").read_text())
    ended = lab("run", str(tmp_path / "lab.yaml"), "--seed", "3", REDIS_IMAGE=toolbox.images.tag("redis"))
    assert is_gone(toolbox, ended.project)
    return ended


def whys(ended: Ended) -> list[str]:
    return [one["why"] for one in ended.verdict["findings"]]


def broken(ended: Ended) -> set[str]:
    return {one["promise"] for one in ended.verdict["promises"] if one["verdict"] == "broken"}


LOOKS = "import os, socket; socket.gethostbyname('redis'); print(os.environ['VERSION'])"
PREPARES = f'before: {{run: [python3, -c, "{LOOKS}"]}}'
"""Where it finds the store, and from the new image."""


def test_an_app_that_drains_holds(toolbox: Toolbox, tmp_path: Path) -> None:
    """It got its stop signal while requests were in it, and nobody needed a second try; what is run before was run."""
    ended = run(toolbox, tmp_path, "drains", ("with: [worker]", f"with: [worker], {PREPARES}"))
    assert ended.code == 0, ended.out + ended.err
    assert [one.line for one in ended.events() if isinstance(one, CommandSaid)] == ["v2"]
    assert first_tries_failed(ended.history()) == []
    stops = [one for one in ended.events() if isinstance(one, AppStopped)]
    told = [(one.service, one.signal, one.grace, one.process) for one in stops]
    assert told == [("web", "SIGTERM", 3.0, "python3")] * 2
    tries = [one for operation in ended.history() for one in operation.tries]
    for stop in stops:
        assert any(one.replica == stop.replica and one.begin < stop.at < one.end for one in tries), "nobody was in it"
    along = [one for one in ended.events() if isinstance(one, Step) and one.action == "recreate"]
    assert [(one.replica, one.release) for one in along] == [("worker", "drains-v2")]
    worker = [one.action for one in ended.events() if isinstance(one, ContainerEvent) and one.role == "worker"]
    assert worker.count("start") == 2


def test_an_app_that_exits_at_once_cuts_its_users(toolbox: Toolbox, tmp_path: Path) -> None:
    """By the name of the service, its signal and its first process."""
    ended = run(toolbox, tmp_path, "exits")
    assert ended.code == 1, ended.out + ended.err
    assert "clean_stops" in broken(ended)
    assert ended.verdict["findings"][0]["promise"] == "clean_stops", "the reason comes first"
    assert any(why.startswith("web cut ") and "after SIGTERM (process 1 is python3)" in why for why in whys(ended))


@pytest.mark.parametrize(("stops", "process"), [("shell", "sh"), pytest.param("node", "node", marks=pytest.mark.prove)])
def test_an_app_that_never_hears_of_it_is_killed(toolbox: Toolbox, tmp_path: Path, stops: str, process: str) -> None:
    """After the service's own time. All of its users were answered by then, and still it is no clean stop."""
    ended = run(toolbox, tmp_path, stops)
    assert ended.code == 1, ended.out + ended.err
    assert broken(ended) == {"clean_stops"}
    assert f"web took its whole 3 s and was killed: SIGTERM ignored (process 1 is {process})" in ended.out
    assert len(whys(ended)) == 2, "one for each replica"


def run_quick(toolbox: Toolbox, tmp_path: Path, stops: str, works_for: str, **more: str) -> Ended:
    """Users of an app whose writes take so many seconds."""
    kind = f"-{works_for}"
    for version in ("v1", "v2"):
        build(toolbox, stops, version, kind=kind, WORKS_FOR=works_for, **more)
    return run(toolbox, tmp_path, stops + kind)


@pytest.mark.parametrize(
    "works_for", [pytest.param("0.3", marks=pytest.mark.prove), "0.1", pytest.param("0.05", marks=pytest.mark.prove)]
)
def test_quick_writes_are_in_an_app_that_exits_at_once_too(toolbox: Toolbox, tmp_path: Path, works_for: str) -> None:
    """It is stopped while one is in it, however short."""
    ended = run_quick(toolbox, tmp_path, "exits", works_for)
    assert ended.code == 1, ended.out + ended.err
    assert "clean_stops" in broken(ended)
    assert any(why.startswith("web cut ") for why in whys(ended))


@pytest.mark.prove
@pytest.mark.parametrize("works_for", ["0.3", "0.1", "0.05"])
def test_quick_writes_of_an_app_that_drains_are_answered(toolbox: Toolbox, tmp_path: Path, works_for: str) -> None:
    """And the drain was put to the test."""
    ended = run_quick(toolbox, tmp_path, "drains", works_for)
    assert ended.code == 0, ended.out + ended.err
    assert first_tries_failed(ended.history()) == []
    assert ended.verdict["evidence"]["occasions"]["busy_stops"] > 0


@pytest.mark.prove
def test_an_app_that_closes_idle_connections_early_is_told_of(toolbox: Toolbox, tmp_path: Path) -> None:
    """It may well hold: the race costs a request too rarely."""
    ended = run_quick(toolbox, tmp_path, "node", "0.1", KEEPS="1")
    closed = [one.after for one in ended.events() if isinstance(one, IdleClosed)]
    assert closed
    assert all(0.9 < after < 2.5 for after in closed), closed
    [said] = [one for one in ended.verdict["tested"] if one["part"] == "kept connections"]
    assert not said.get("is_tested", False)
    assert said["how"].startswith("web closes idle ones itself after ")


STRIKE = "  - strike: {do: kill, to: redis, for: 0.5}\n  - settle: {for: 1}\n"


@pytest.mark.prove
def test_their_own_store_is_struck_by_its_name_and_what_it_lost_is_measured(toolbox: Toolbox, tmp_path: Path) -> None:
    """A Redis that keeps nothing on disk loses all, and a second of it was allowed."""
    roll = '  - roll: {to: "stops:drains-v2", with: [worker]}\n'
    bound = ("serving_at_least: 1}", "serving_at_least: 0, loses_at_most: 1}")
    fewer = ("checks: 20, users_served_by_new: 4}", "checks: 1}")
    longer = ("  - settle: {for: 2}\n", "  - settle: {for: 5}\n")  # so that more than a second's writes are there
    ended = run(toolbox, tmp_path, "drains", longer, (roll, STRIKE), bound, fewer)
    assert ended.code == 1, ended.out + ended.err
    assert "loss_bound" in broken(ended)
    [why] = [one for one in whys(ended) if "the store lost: " in one]
    assert why.startswith("redis was struck (SIGKILL); the store lost: ")
    assert "acknowledged at no time" not in why


@pytest.mark.prove
def test_the_lenient_way_says_what_it_does_not_test(toolbox: Toolbox, tmp_path: Path) -> None:
    """The same app that exits at once holds, since all was answered before it was told."""
    ended = run(toolbox, tmp_path, "exits", ("  port: 8000\n", "  port: 8000\n  stop: after_answers\n"))
    assert ended.code == 0, ended.out + ended.err
    assert any("cluster.stop: after_answers" in line for line in ended.verdict["not_checked"])
