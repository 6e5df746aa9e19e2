"""Engines that are too old, lie, or run out of disk; a machine without IPv4 loopback: told, never a traceback."""

from __future__ import annotations

import errno
import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

import pytest

from lab.errors import EngineError, LabError, SetupError
from lab.machine import ports
from lab.machine.doctor import examine
from lab.machine.engine import APIError, NotFound, connect, describe, kind_of, traits_of, try_connect, why_silent
from lab.machine.images import ImageShelf
from lab.machine.places import find_places

WELL = {"Version": "20.10.5", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Starts what answers as an engine would: by the end of a path what it says, as JSON or as it is."""
    servers: list[Server] = []

    def start(**answers: Any) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0].rpartition("/")[2]
                said = answers.get(path, answers.get("anything", {}))
                body = said if isinstance(said, bytes) else b"OK" if path == "_ping" else json.dumps(said).encode()
                self.send_response(answers.get("status", {}).get(path, 200))
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def address_string(self) -> str:
                return "here"

            def log_message(self, *_: Any) -> None: ...

        where = tmp_path / f"{len(servers)}.sock"
        servers.append(Server(str(where), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{where}")
        return f"unix://{where}"

    yield start
    for one in servers:
        one.shutdown()
        one.server_close()


def test_a_container_that_goes_while_it_is_looked_at_is_not_there(engine: Callable[..., str]) -> None:
    """Podman calls that a fault of its own; any other of its faults stays one."""
    said = {"message": "no container with ID a88e24ec78d2 found in database: no such container"}
    engine(version=WELL, json=said, top={"message": "the disk is full"}, status={"json": 500, "top": 500})
    client = connect()
    with pytest.raises(NotFound):
        client.inspect_container("a88e24ec78d2")
    with pytest.raises(APIError) as raised:
        client.top("a88e24ec78d2")
    assert not isinstance(raised.value, NotFound)
    client.close()


def checkups() -> dict[str, str]:
    """What the doctor says of the engine, and what would help."""
    return {
        one.name: f"{'well' if one.is_well else 'ill'}: {one.seen} {one.mend}"
        for one in examine(find_places(), now=datetime.now(UTC))
    }


def test_an_engine_that_is_too_old_is_told(engine: Callable[..., str]) -> None:
    """With its version, before anything is asked of it that it can't do."""
    engine(version={**WELL, "Version": "19.03.8", "ApiVersion": "1.40"}, info={})
    with pytest.raises(SetupError, match=r"Docker Engine 19\.03\.8 is older than 20\.10"):
        connect()


@pytest.mark.parametrize(
    "version", [{"ApiVersion": "banana"}, {}, [], "1.41", {"ApiVersion": 1.41}, {"ApiVersion": "1." + "9" * 5000}]
)
def test_what_says_no_version_is_no_engine(engine: Callable[..., str], version: object) -> None:
    """Another program at that address, or a proxy's page."""
    engine(version=version, info=[])
    with pytest.raises(SetupError):
        connect()
    assert checkups()["engine"].startswith("ill: ")


@pytest.mark.parametrize("info", [[], None, "x", {"SecurityOptions": 3, "NCPU": "many"}, b"<html>", b"\xff"])
def test_an_api_that_lies_about_itself_is_told(engine: Callable[..., str], info: object) -> None:
    """Its answers are of another shape than any engine's."""
    engine(version=WELL, info=info)
    client = try_connect()
    assert client is not None
    with pytest.raises(LabError):
        describe(client)
    client.close()
    assert checkups()["engine"].startswith("ill: ")


def test_an_engine_is_called_what_it_is() -> None:
    """Podman answers on Docker's API; what is rootless or in a virtual machine says so."""
    assert kind_of({"Components": [{"Name": "Podman Engine"}, {"Name": "Conmon"}]}) == "Podman"
    assert kind_of({"Components": [{"Name": "Engine"}]}) == kind_of({}) == "Docker"
    assert traits_of({"SecurityOptions": ["name=seccomp", "name=rootless"]}) == ("rootless",)
    assert traits_of({"OperatingSystem": "Docker Desktop"}) == ("Docker Desktop",)
    assert traits_of({"OperatingSystem": "Debian", "SecurityOptions": None}) == ()


def test_a_disk_that_is_full_while_an_image_is_built_is_told(tmp_path: Path) -> None:
    """With what makes room, and not as a mirror that is not reached."""

    class Full:
        def inspect_image(self, tag: str) -> dict[str, str]:
            return {"Id": tag}

        def build(self, **_: Any) -> Iterator[dict[str, str]]:
            yield {"error": "write /var/lib/docker/tmp/x: no space left on device"}

    shelf = ImageShelf(Full(), find_places().images)  # type: ignore[arg-type]
    shelf.missing = lambda _=(): ["nginx"]  # type: ignore[method-assign,assignment]
    with pytest.raises(EngineError, match=r"no space left on device[\s\S]*lab clean --all"):
        shelf.make_missing(lambda _: None)


def test_a_machine_without_ipv4_loopback_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not as one whose ports are all taken."""

    class NoLoopback(socket.socket):
        def bind(self, address: Any) -> None:  # noqa: ARG002
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    monkeypatch.setattr("socket.socket", NoLoopback)
    with pytest.raises(SetupError, match=r"127\.0\.0\.1: this machine has no such address[\s\S]*ip link set lo up"):
        ports.free_port()


def test_an_engine_that_does_not_answer_says_why() -> None:
    """Nobody listens there; and where somebody should listen at a path, there is none."""
    assert "refused" in why_silent("tcp://127.0.0.1:9")
    assert "no such socket" in why_silent("unix:///nowhere/docker.sock")
