"""How an engine is come by: decided from what the machine is, without touching it."""

from __future__ import annotations

import msgspec
import pytest

from lab.cluster.install import Machine, plan_engine
from lab.errors import ExitCode, SetupError

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
