"""Where the engine is, seen from here: whether it sees our files, and how users come to what runs there.

On a laptop both are simple. A job of CI is a container that has another host's engine (`DOCKER_HOST=tcp://...`), or the
socket of the engine that it runs on itself: its files are not the engine's, and the engine's 127.0.0.1 is not its own.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docker import APIClient

from lab.clock import SYSTEM_CLOCK
from lab.errors import UsageError
from lab.machine import labels
from lab.machine.engine import APIError, NotFound, engine_address, engine_errors
from lab.machine.host import container_ids, default_gateway, is_in_container
from lab.machine.labels import Identity, this_process
from lab.model import Value

LOOPBACK = "127.0.0.1"
ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 -- what must be typed before the lab listens there
BIND, HOST = "LAB_BIND", "LAB_HOST"
"""The variables that say on which of the engine's addresses doors are published, and where they are found from here."""
PROBE_LIVES = 600
"""Seconds after which `lab clean` may remove a container that was made to see whether the engine sees our files."""


class Reach(Value):
    """How files come to what the engine runs, and users to its doors."""

    bind: str = LOOPBACK
    """The address of the engine's machine on which doors are published."""
    copies: bool = False
    """The engine does not see our files: they are copied in."""
    joins: str = ""
    """The container that this process is in, by full id, where it must be in a cluster's network to reach its doors."""

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing special about it: an engine of this machine that sees our files."""
        return self == Reach()


def engine_host(address: str) -> str:
    """The name of the machine on which an engine is that is spoken to by network; "" for one of this machine."""
    try:
        where = urlsplit(address)
        host = where.hostname or ""
    except ValueError:  # it is no address: whoever connects tells
        return ""
    if where.scheme not in {"tcp", "http", "https", "ssh"}:
        return ""
    return "" if _is_loopback(host) else host


def bind_address(address: str, asked: str) -> str:
    """Where doors are published on the engine's machine: on its loopback, unless another one is asked for.

    Raises UsageError where nobody else could come to the doors of an engine elsewhere, and for what is no address.
    """
    if asked:
        try:
            return str(ipaddress.ip_address(asked))
        except ValueError as exc:
            hint = "--bind 10.0.0.5   # an address of the engine's machine; 0.0.0.0: all of them"
            raise UsageError(f"{asked!r} is not an IP address", at="--bind", hint=hint) from exc
    host = engine_host(address)
    if not host:
        return LOOPBACK
    raise UsageError(
        f"the engine is on another machine ({host}): nobody here reaches doors on its 127.0.0.1",
        at=address,
        hint="--bind ADDRESS   # one of that machine's, on which users' doors may be published for all who reach it"
        " (LAB_BIND; 0.0.0.0: all). Or: unset DOCKER_HOST; docker context use default",
    )


def check_bind() -> str:
    """What `bind_address` says of the engine in use and of what was asked for."""
    return bind_address(engine_address(), os.environ.get(BIND, ""))


def door_host(published: str, *, address: str, override: str = "") -> str:
    """Where a door is found from here that is published on this address of the engine's machine: pure but for DNS.

    Raises UsageError for a host whose name nobody knows.
    """
    if override:
        return _resolved(override, HOST)
    host = engine_host(address)
    if host and (published in ANYWHERE or _is_loopback(published)):
        return _resolved(host, address)
    return LOOPBACK if published in ANYWHERE else published


def find_door_host(published: str) -> str:
    """What `door_host` says of the engine in use."""
    return door_host(published, address=engine_address(), override=os.environ.get(HOST, ""))


def find_reach(engine: APIClient, image: str, own: Path) -> Reach:
    """How it is with the engine in use. A file in `own`, the lab's folder, is what the engine is to see.

    A container of `image` is made for the look, never run, and removed. Raises UsageError as `bind_address` does.
    """
    bind, address = check_bind(), engine_address()
    if engine_host(address):
        return Reach(bind=bind, copies=True)
    with _something_to_see(own) as (file, content):
        copies = not _sees(engine, image, file, content)
        inside = _own_container(engine, file, content) if is_in_container() else ""
    if not inside or os.environ.get(HOST):
        return Reach(bind=bind, copies=copies)
    with engine_errors("look at this container"):
        mode = str(engine.inspect_container(inside)["HostConfig"].get("NetworkMode", ""))
    if mode == "host":
        return Reach(bind=bind, copies=copies)
    if mode == "none" or mode.startswith("container:"):  # the engine lets it join no network
        if _is_loopback(bind):
            raise UsageError(
                f"this container shares a network ({mode}) and can't join a cluster's, so it reaches no door",
                at="docker network connect",
                hint=f"--bind {default_gateway() or 'ADDRESS'} with {HOST} set to it   # what is reached from here",
            )
        return Reach(bind=bind, copies=copies)
    return Reach(bind=bind, copies=copies, joins=inside)


def find_job(engine: APIClient, own: Path) -> str:
    """The container of this engine in which we are, by what it sees in `own`, the lab's folder; "" for none."""
    if engine_host(engine_address()) or not is_in_container():
        return ""
    with _something_to_see(own) as (file, content):
        return _own_container(engine, file, content)


def join(engine: APIClient, container: str, network: str) -> None:
    """Put the container that this process is in into a cluster's network, as a guest. It may be there already."""
    with engine_errors("join the cluster's network", at=network):
        inside = engine.inspect_container(container)["NetworkSettings"]["Networks"] or {}
        if network not in inside:
            engine.connect_container_to_network(container, network, aliases=[labels.GUEST])


def is_guest(inspected: Mapping[str, Any], network: str) -> bool:
    """Whether a container is in a network only as a guest: a lab that asks what is there."""
    endpoint = (inspected["NetworkSettings"]["Networks"] or {}).get(network) or {}
    return labels.GUEST in (endpoint.get("Aliases") or ())


def own_container(engine: APIClient, own: Path) -> str:
    """The container of this engine that this process is in, "" for none: it holds the same file as we do."""
    if not is_in_container():
        return ""
    with _something_to_see(own) as (file, content):
        return _own_container(engine, file, content)


@contextmanager
def _something_to_see(own: Path) -> Iterator[tuple[Path, bytes]]:
    """A file that nobody else has."""
    own.mkdir(parents=True, exist_ok=True)
    content = secrets.token_hex(16).encode()
    file = own / f"seen-{secrets.token_hex(8)}"
    file.write_bytes(content)
    try:
        yield file, content
    finally:
        file.unlink(missing_ok=True)


def _sees(engine: APIClient, image: str, file: Path, content: bytes) -> bool:
    """Whether the engine finds the same file under the same path."""
    run = f"look-{secrets.token_hex(4)}"
    expires = int(SYSTEM_CLOCK.wall().timestamp()) + PROBE_LIVES
    identity = Identity(project=f"lab-{run}", run=run, owner=this_process(), expires=expires)
    mount = {"Type": "bind", "Source": str(file), "Target": "/seen", "ReadOnly": True}
    body = {"Image": image, "Cmd": ["none"], "Labels": identity.labels("look"), "HostConfig": {"Mounts": [mount]}}
    with engine_errors("see whether the engine sees our files", at=str(file)):
        try:
            made = engine.create_container_from_config(body, identity.project)["Id"]
        except NotFound:
            raise  # the image is gone: that says nothing about files
        except APIError:  # "bind source path does not exist"
            return False
        try:
            return _file_of(engine, made, "/seen") == content
        finally:
            with suppress(NotFound):
                engine.remove_container(made, force=True, v=True)


def _own_container(engine: APIClient, file: Path, content: bytes) -> str:
    for candidate in (*container_ids(), socket.gethostname()):
        with engine_errors("look for this container"):
            try:
                inspected = engine.inspect_container(candidate)
            except NotFound:
                continue
            if _file_of(engine, inspected["Id"], str(file.resolve())) == content:
                return str(inspected["Id"])
    return ""


def _file_of(engine: APIClient, container: str, path: str) -> bytes | None:
    """What a container holds at a path, None where it holds no file there."""
    try:
        stream, _ = engine.get_archive(container, path)
        packed = b"".join(stream)
    except APIError:
        return None
    with tarfile.open(fileobj=BytesIO(packed)) as tar:
        first = tar.next()
        file = tar.extractfile(first) if first is not None and first.isfile() else None
        return file.read() if file is not None else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _resolved(host: str, at: str) -> str:
    """By number: the balancers take no other name in a request, against rebinding."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError as exc:
        hint = f"{HOST}=ADDRESS   # where the doors are reached"
        raise UsageError(f"nobody knows the host {host!r}: {exc}", at=at, hint=hint) from exc
    return str(found[0][4][0])
