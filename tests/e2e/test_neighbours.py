"""Nobody else is hurt: labs side by side, killed labs, interrupted ones, and strangers that look like the lab's."""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.backends import docker as wiring
from lab.cluster.compose import LAB_PORT
from lab.machine.ports import free_port, free_ports
from lab.machine.projects import run_identity
from lab.machine.setup import Toolbox
from lab.retry import wait_until
from lab.scenario.spec import ClusterSpec
from tests.e2e.conftest import ShopCluster
from tests.e2e.runs import is_gone, lab, scenario, start, wait

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time]

LONG = "[{settle: {for: 100}}]"


def containers_of(toolbox: Toolbox, project_prefix: str = "lab-") -> dict[str, str]:
    """Running app replicas by id, with their project."""
    found = toolbox.engine.containers(filters={"label": "lab.role=app"})
    return {
        one["Id"]: one["Labels"]["lab.project"]
        for one in found
        if one["Labels"].get("lab.project", "").startswith(project_prefix)
    }


def wait_for_run(toolbox: Toolbox, process: subprocess.Popen[str]) -> str:
    """The project of a run that this process started, once three replicas of it are up."""
    assert process.stdout is not None
    for line in process.stdout:
        if ", seed " in line:
            project = f"lab-{line.split()[1].rstrip(',')}"
            break
    else:
        pytest.fail(f"the run said nothing: {process.stderr.read() if process.stderr else ''}")
    wait_until(f"{project} has its replicas", lambda: len(containers_of(toolbox, project)) >= 3, within=60)
    return project


@pytest.fixture
def stranger(toolbox: Toolbox) -> Iterator[str]:
    """A running container of somebody else with a name like the lab's and half of the lab's labels."""
    engine = toolbox.engine
    made = engine.create_container(
        toolbox.images.tag("redis"),
        ["sleep", "600"],
        name=f"lab-run-{secrets.token_hex(3)}-a1-1",
        labels={"lab.project": "lab-of-a-stranger", "lab.role": "app", "lab.slot": "a1"},
    )
    engine.start(made["Id"])
    yield made["Id"]
    engine.remove_container(made["Id"], force=True, v=True)


def test_two_labs_run_side_by_side(toolbox: Toolbox, tmp_path: Path) -> None:
    """Two runs at once: each on its own port, both held, nothing left of either."""
    (tmp_path / "other").mkdir()
    with start("run", scenario(tmp_path)) as one, start("run", scenario(tmp_path / "other")) as other:
        ended = [wait(one), wait(other)]
    assert [one.code for one in ended] == [0, 0], [one.out + one.err for one in ended]
    assert ended[0].project != ended[1].project
    assert all(is_gone(toolbox, one.project) for one in ended)


def test_a_killed_lab_is_cleaned_up_and_a_stranger_survives(toolbox: Toolbox, tmp_path: Path, stranger: str) -> None:
    """`kill -9` leaves a cluster behind; `lab clean` removes exactly that, and not what only looks like it."""
    endless = scenario(tmp_path, steps=LONG)
    with start("run", endless) as killed, start("run", endless) as alive:
        project, other = wait_for_run(toolbox, killed), wait_for_run(toolbox, alive)
        killed.kill()
        killed.wait()
        assert not is_gone(toolbox, project)
        cleaned = lab("clean")
        assert cleaned.code == 0, cleaned.err
        assert project in cleaned.out
        assert is_gone(toolbox, project)
        assert len(containers_of(toolbox, other)) == 3, "the other lab was hurt"
        assert toolbox.engine.inspect_container(stranger)["State"]["Running"]
        alive.send_signal(signal.SIGINT)
        assert wait(alive).code == 130
    assert is_gone(toolbox, other)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_run_cleans_up(toolbox: Toolbox, tmp_path: Path, number: signal.Signals, code: int) -> None:
    """The first signal unwinds: the cluster is gone, the exit code says which signal it was."""
    with start("run", scenario(tmp_path, steps=LONG)) as process:
        project = wait_for_run(toolbox, process)
        process.send_signal(number)
        ended = wait(process)
    assert ended.code == code, ended.err
    assert "Traceback" not in ended.err
    assert is_gone(toolbox, project)


def test_a_port_that_is_taken_is_named_and_nothing_is_left(toolbox: Toolbox, tmp_path: Path) -> None:
    """The port's number and what to do; exit 4; the half-made cluster is removed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = lab("run", scenario(tmp_path), "--port", str(port))
    assert ended.code == 4
    assert str(port) in ended.out + ended.err
    assert "taken" in ended.out + ended.err
    assert is_gone(toolbox, ended.project)


@pytest.mark.parametrize("who", ["a program", "a container"])
def test_a_picked_port_that_somebody_took_since_is_picked_anew(
    who: str, shop_cluster: ShopCluster, toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when two labs pick at once: the cluster comes up on other ports, and nothing of the first try is left."""
    [(_, others)] = shop_cluster.live.doors
    with socket.socket() as program:
        program.bind(("127.0.0.1", 0))
        program.listen()
        taken = others if who == "a container" else program.getsockname()[1]
        first = (free_port(), taken)
        picks = [first, free_ports(2)]
        monkeypatch.setattr(wiring, "free_ports", lambda _: picks.pop(0))
        slots, image = ClusterSpec(release="shop:v1").slots, toolbox.images.tag("shop:v1")
        with wiring.temporary_cluster(toolbox, run_identity(f"test-{secrets.token_hex(3)}"), slots, image) as live:
            assert not picks
            [(_, port)] = live.doors
            [(_, door)] = live.cluster.addresses(LAB_PORT)
            assert not {port, door} & set(first)
    assert is_gone(toolbox, live.project)


def test_up_status_down(toolbox: Toolbox) -> None:
    """A cluster by itself: up once, told where it is, all slots serving; gone after down, twice."""
    project = f"lab-test-{secrets.token_hex(3)}"
    try:
        up = lab("up", "-p", project)
        assert up.code == 0, up.out + up.err
        assert "http://127.0.0.1:" in up.out
        status = lab("status", "-p", project)
        assert status.code == 0
        assert status.out.count("yes") == 6
        again = lab("up", "-p", project)
        assert again.code == 2
        assert "lab down" in again.err
        swept = lab("clean")
        assert project not in swept.out, "a cluster that somebody keeps was swept"
    finally:
        down = lab("down", "-p", project)
    assert down.code == 0
    assert is_gone(toolbox, project)
    assert lab("status", "-p", project).code == 4
    assert lab("down", "-p", project).code == 0


def test_an_absent_engine_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    """An engine that does not answer where DOCKER_HOST points: one sentence, the way out, exit 2."""
    ended = lab("run", scenario(tmp_path), DOCKER_HOST=f"unix://{tmp_path}/no.sock")
    assert ended.code == 2
    assert "DOCKER_HOST" in ended.err
    assert "Traceback" not in ended.err


def test_an_unreadable_scenario_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """Exit 2, the file and the key, no engine needed."""
    path = tmp_path / "bad.yaml"
    path.write_text("lab: 1\nname: x\nusers: {cuont: 3}\n")
    ended = lab("run", str(path), DOCKER_HOST=f"unix://{tmp_path}/no.sock")
    assert ended.code == 2
    assert str(path) in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.prove
def test_doctor_says_what_mends_an_absent_engine(tmp_path: Path) -> None:
    """One line for each thing, the command beneath what is not well, and a code that says so."""
    well = lab("doctor")
    assert well.code == 0, well.out
    ill = lab("doctor", DOCKER_HOST=f"unix://{tmp_path}/no.sock")
    assert ill.code == 2
    assert "✕ engine" in ill.out
    assert "try:" in ill.out
