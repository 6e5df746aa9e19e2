"""An engine that is restarted in the middle of a rollout: the test's own, in a container, never the machine's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import ExitCode
from lab.machine.places import find_places
from lab.machine.setup import make_ready
from lab.record import EngineBack, EngineGone, ReadRecord, RolloutMoved, Step
from lab.retry import wait_until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.prove,
    pytest.mark.skipif(
        not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("nsenter") is None,
        reason="enters the network of a container, which takes root on Linux",
    ),
]
ROOT = Path(__file__).resolve().parents[2]
IMAGE = "lab-test-engine:restarts"
MADE_OF = """\
FROM {base}
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update -qq \\
 && apt-get install -y -qq --no-install-recommends docker.io iptables procps >/dev/null \\
 && rm -rf /var/lib/apt/lists/*
"""
RUNS_IT = """\
while :; do
  rm -f /run/docker.pid /run/docker/containerd/containerd.pid
  dockerd -H unix://{folder}/docker.sock >>{folder}/dockerd.log 2>&1
  sleep 2
done
"""
# All that an engine needs; --privileged would ask for capabilities that a machine like this one may lack itself.
MAY = (
    *(f"--cap-add={one}" for one in ("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "MKNOD", "SYS_CHROOT", "SETFCAP")),
    *(f"--cap-add={one}" for one in ("DAC_READ_SEARCH", "SYSLOG", "SYS_MODULE")),
    *(f"--security-opt={one}=unconfined" for one in ("seccomp", "apparmor", "systempaths")),
    "--device-cgroup-rule=a *:* rwm",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
)
SCENARIO = """\
lab: 1
name: engine-restart
title: "The engine is restarted in the middle of a rollout"
cluster: {release: "shop:v1", zones: {a: 1, b: 1, c: 1}}
users: {count: 20, on_two_devices: 5, think: 0.4}
promises: {serving_at_least: 2}
steps:
  - settle: {for: 3}
  - roll: {to: "shop:v2", pause: 3}
  - settle: {for: 5}
enough: {operations: 200, checks: 100, users_served_by_new: 20}
time_limit: 240
"""


class OwnEngine:
    """An engine in a container, with a network of its own; `folder` is seen on both sides."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.address = f"unix://{folder}/docker.sock"

    def ask(self, *argv: str, **more: object) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "DOCKER_HOST": self.address}
        return subprocess.run(["docker", *argv], env=environment, check=False, capture_output=True, **more)  # type: ignore[call-overload,no-any-return]

    def is_up(self) -> bool:
        return bool(self.ask("info").returncode == 0)

    def lab(self, *argv: str) -> subprocess.Popen[str]:
        """The lab, in the engine's network, since it asks balancers on 127.0.0.1 there."""
        asked = ["docker", "inspect", "--format={{.State.Pid}}", self.name]
        pid = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
        environment = {**os.environ, "DOCKER_HOST": self.address}
        command = ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-m", "lab", *argv]
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[OwnEngine]:
    """With the lab's images."""
    toolbox = make_ready(find_places(), lambda _: None, ["shop:v1", "shop:v2"])
    tags = list(toolbox.images.ids(["shop:v1", "shop:v2"]))
    (tmp_path / "Dockerfile").write_text(MADE_OF.format(base=toolbox.images.base_tag))
    subprocess.run(["docker", "build", "--quiet", f"--tag={IMAGE}", str(tmp_path)], check=True, timeout=300)
    own = OwnEngine(f"lab-test-engine-{os.getpid()}", tmp_path)
    seen = [f"--volume={folder}:{folder}" for folder in (tmp_path, ROOT)]
    argv = ["docker", "run", "--detach", "--rm", "--init", f"--name={own.name}", *MAY, *seen]
    argv += ["--volume=/var/lib/docker", "--tmpfs=/run", IMAGE, "sh", "-c", RUNS_IT.format(folder=tmp_path)]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    try:
        wait_until("the engine answers", own.is_up, within=60, every=0.5, next_step=f"{tmp_path}/dockerd.log")
        with subprocess.Popen(["docker", "save", *tags], stdout=subprocess.PIPE) as saved:
            assert own.ask("load", stdin=saved.stdout, timeout=300).returncode == 0
        yield own
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", own.name], check=False, capture_output=True)


def test_a_rollout_outlives_a_restart_of_its_engine(engine: OwnEngine, tmp_path: Path) -> None:
    """Balancer and store are started anew, replicas are replaced, the rollout goes on, nobody loses anything; and the
    record says so."""
    scenario = tmp_path / "x.yaml"
    scenario.write_text(SCENARIO)
    run = engine.lab("run", str(scenario), "--seed", "1")
    said: list[str] = []
    assert run.stdout is not None
    reader = threading.Thread(target=lambda: said.extend(run.stdout or ()), daemon=True)
    reader.start()

    def is_rolling() -> bool:
        return any("drains" in line for line in said) or run.poll() is not None

    wait_until("the first replica drains", is_rolling, within=200, every=0.1)
    stopped = subprocess.run(["docker", "exec", engine.name, "pkill", "-TERM", "-x", "dockerd"], check=False)
    assert stopped.returncode == 0, said
    assert run.wait(timeout=280) == ExitCode.HELD, "".join(said)
    reader.join(10)
    run.stdout.close()
    named = next(line.split()[1].rstrip(",") for line in said if line.strip().startswith("run "))
    runs = find_places().runs
    events = list(ReadRecord(runs / named).events())
    gone = next(one.at for one in events if isinstance(one, EngineGone))
    back = next(one for one in events if isinstance(one, EngineBack))
    assert any("store" in one for one in back.started)
    assert any("balancer" in one for one in back.started)
    replaced = [one for one in events if isinstance(one, Step) and one.action == "enter" and one.at > gone]
    assert {one.slot for one in replaced} == {"a1", "b1", "c1"}
    assert [one.ending for one in events if isinstance(one, RolloutMoved) and one.ending] == ["done"]
    checked = engine.lab("check", str(runs / named)).communicate(timeout=60)[0]
    assert "while the engine was away" in checked
