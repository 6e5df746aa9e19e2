"""How an engine is come by: decided from what the machine is, without touching it."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from lab.errors import ExitCode, SetupError
from lab.machine import install, locks
from lab.machine.install import Machine, plan_engine, provide_base_tools

FRESH_DEBIAN = Machine(
    system="Linux",
    is_root=True,
    has_apt=True,
    has_dockerd=False,
    has_systemd=False,
    address="unix:///var/run/docker.sock",
)
replace = msgspec.structs.replace


def test_a_fresh_debian_gets_an_engine_installed_and_started() -> None:
    """Root, apt, no engine: both."""
    assert plan_engine(FRESH_DEBIAN) == ("install", "start")


def test_a_stopped_engine_is_only_started() -> None:
    """An engine that is installed is not installed again."""
    assert plan_engine(replace(FRESH_DEBIAN, has_dockerd=True)) == ("start",)


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (replace(FRESH_DEBIAN, is_root=False), "usermod"),
        (replace(FRESH_DEBIAN, has_apt=False), "package tool"),
        (replace(FRESH_DEBIAN, system="Darwin"), "open -a Docker"),
        (replace(FRESH_DEBIAN, address="tcp://elsewhere:2375"), "DOCKER_HOST"),
        (replace(FRESH_DEBIAN, address="unix:///nowhere.sock", has_dockerd=True), "DOCKER_HOST"),
    ],
    ids=["not root", "no apt", "macOS", "remote engine", "named engine"],
)
def test_elsewhere_the_commands_are_told_and_nothing_is_done(machine: Machine, said: str) -> None:
    """One sentence, the commands to run, exit 2."""
    with pytest.raises(SetupError) as caught:
        plan_engine(machine)
    assert said in str(caught.value)
    assert caught.value.exit_code is ExitCode.USAGE


def test_the_base_images_tools_are_installed_under_the_callers_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes images holds the host's lock already, so that nothing may wait for it there."""
    asked: list[Sequence[str]] = []
    monkeypatch.setattr(locks, "HOST_LOCK", tmp_path / "host.lock")
    monkeypatch.setattr(install, "look_at_machine", lambda: FRESH_DEBIAN)
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(install, "apt_install", asked.append)
    waited: list[str] = []

    def lock(_: object, act: int) -> None:
        if not act & fcntl.LOCK_NB:
            pytest.fail("it waits for a lock that its caller holds")
        if waited:
            raise BlockingIOError
        waited.append("held")

    monkeypatch.setattr("fcntl.flock", lock)
    with locks.host_lock(lambda _: None):
        provide_base_tools(lambda _: None)
    assert asked == [install.APT_PACKAGES[2:]]


def test_a_user_without_a_name_has_a_lab_too() -> None:
    """A container's `--user 12345` has no entry among the users, and often no $USER."""
    program = (
        "import os, pwd\ndef getpwuid(uid): raise KeyError(uid)\npwd.getpwuid = getpwuid\nimport lab.machine.install"
    )
    done = subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
