"""Where an engine is: what is asked of a person before anything listens, and where doors are found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.errors import SetupError, UsageError
from lab.machine import engine
from lab.machine.reach import bind_address, door_host, engine_host, is_guest

ALL = "0.0.0.0"  # noqa: S104 -- said, not listened on
HERE, TCP = "unix:///var/run/docker.sock", "tcp://192.0.2.7:2376"


@pytest.mark.parametrize(
    ("address", "host"),
    [
        (HERE, ""),
        ("npipe:////./pipe/docker_engine", ""),
        ("tcp://127.0.0.1:2375", ""),
        ("tcp://localhost:2375", ""),
        (TCP, "192.0.2.7"),
        ("ssh://me@build:2222", "build"),
        ("tcp://[", ""),
    ],
)
def test_an_engine_is_elsewhere_only_where_a_network_lies_between(address: str, host: str) -> None:
    """By its address alone."""
    assert engine_host(address) == host


def test_nothing_listens_beyond_loopback_that_nobody_asked_for() -> None:
    """An engine elsewhere is refused until somebody says where; what they say is an address."""
    assert bind_address(HERE, "") == "127.0.0.1"
    with pytest.raises(UsageError, match=r"on another machine \(192\.0\.2\.7\)[\s\S]*--bind ADDRESS"):
        bind_address(TCP, "")
    assert bind_address(TCP, ALL) == ALL
    with pytest.raises(UsageError, match="'build' is not an IP address"):
        bind_address(TCP, "build")


def test_doors_are_found_where_the_engine_is() -> None:
    """At its host, unless one says otherwise; here on loopback."""
    assert door_host("127.0.0.1", address=HERE) == "127.0.0.1"
    assert door_host(ALL, address=HERE) == "127.0.0.1"
    assert door_host(ALL, address=TCP) == "192.0.2.7"
    assert door_host("198.51.100.3", address=TCP) == "198.51.100.3"
    assert door_host(ALL, address=TCP, override="192.0.2.9") == "192.0.2.9"
    assert door_host(ALL, address="tcp://x:1", override="localhost") == "127.0.0.1"


def test_a_host_that_nobody_knows_is_told() -> None:
    """With the variable that says it by number."""
    with pytest.raises(UsageError, match=r"nobody knows the host 'no\.such\.host\.invalid'[\s\S]*LAB_HOST=ADDRESS"):
        door_host(ALL, address="tcp://no.such.host.invalid:2375")


def test_a_guest_is_known_by_its_name_in_the_network() -> None:
    """A cluster's own container in it is none."""
    inside = {"NetworkSettings": {"Networks": {"x_edge": {"Aliases": ["lab-guest", "0123"]}, "bridge": {}}}}
    assert is_guest(inside, "x_edge")
    assert not is_guest(inside, "bridge")
    assert not is_guest({"NetworkSettings": {"Networks": None}}, "x_edge")


@pytest.fixture
def docker_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def test_a_context_that_there_is_none_of_is_told(docker_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whichever way it is named, and never passed over for the default engine: that would be another one."""
    (docker_home / "config.json").write_text(json.dumps({"currentContext": "gone"}))
    with pytest.raises(SetupError, match="there is no Docker context 'gone'"):
        engine.engine_address()
    monkeypatch.setenv("DOCKER_CONTEXT", "neither")
    with pytest.raises(SetupError, match="DOCKER_CONTEXT: there is no Docker context 'neither'"):
        engine.try_connect()
    monkeypatch.setenv("DOCKER_HOST", HERE)
    assert engine.engine_address() == HERE
