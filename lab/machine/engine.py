"""The Docker engine of this machine: find it, talk to it, and turn its errors into the lab's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from docker import APIClient
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, NotFound, create_api_error_from_http_exception

from lab.errors import EngineError, LabError, SetupError
from lab.model import Value

OLDEST_API = (1, 41)
"""Docker Engine 20.10."""
GONE_OR_SO = {304, 404, 409}
"""What the engine answers where a container is gone, or is already as it was asked to be."""
SO_ALREADY = ("is not paused", "is already paused", "is not running", "cannot resume a stopped container")
"""What an older engine says with status 500 instead."""

__all__ = [
    "APIError",
    "EngineInfo",
    "APIClient",
    "NotFound",
    "connect",
    "describe",
    "engine_address",
    "engine_errors",
    "set_nano_cpus",
    "try_connect",
]


class EngineInfo(Value):
    """What the record says about the engine that ran the cluster."""

    version: str
    api: str
    system: str
    architecture: str
    cores: int
    memory_bytes: int
    storage_driver: str


def engine_address() -> str:
    """Where this user's Docker tools look for the engine: DOCKER_HOST, else the current context, else the default."""
    given = os.environ.get("DOCKER_HOST")
    if given:
        return given
    try:
        context = ContextAPI.get_current_context()
    except (DockerException, OSError, ValueError):
        context = None
    host = getattr(context, "Host", None)
    return str(host) if host else "unix:///var/run/docker.sock"


def try_connect(address: str | None = None, *, timeout: float = 60) -> APIClient | None:
    """A client of the engine if one answers now, else None."""
    where = address or engine_address()
    if where.startswith("unix://") and not Path(where.removeprefix("unix://")).exists():
        return None
    try:
        client = APIClient(base_url=where, version="auto", timeout=int(timeout))
        client.ping()
    except (DockerException, requests.RequestException, OSError, ValueError):  # ValueError: it is no address
        return None
    return client


def connect() -> APIClient:
    """A client of a running engine. Raises SetupError where none answers or it is older than 20.10."""
    client = try_connect()
    if client is None:
        raise SetupError(
            "no Docker engine answers",
            at=engine_address(),
            hint="lab setup   # installs or starts one on Debian and Ubuntu; elsewhere: start Docker Desktop",
        )
    if tuple(int(part) for part in client.api_version.split(".")) < OLDEST_API:
        version = client.version().get("Version", "?")
        raise SetupError(f"Docker Engine {version} is older than 20.10", hint="upgrade Docker, then lab doctor")
    return client


def describe(client: APIClient) -> EngineInfo:
    """What engine this is."""
    with engine_errors("ask the engine what it is"):
        info, version = client.info(), client.version()
    return EngineInfo(
        version=version.get("Version", ""),
        api=version.get("ApiVersion", ""),
        system=info.get("OperatingSystem", ""),
        architecture=info.get("Architecture", ""),
        cores=info.get("NCPU", 0),
        memory_bytes=info.get("MemTotal", 0),
        storage_driver=info.get("Driver", ""),
    )


def set_nano_cpus(client: APIClient, container: str, nano_cpus: int) -> None:
    """How many billionths of a processor a container has that was made with such a limit: the SDK has no call for it.

    Raises as the SDK's own calls do.
    """
    address = f"{client.base_url}/v{client.api_version}/containers/{container}/update"
    answer = client.post(address, json={"NanoCpus": nano_cpus}, timeout=client.timeout)
    try:
        answer.raise_for_status()
    except requests.HTTPError as exc:
        raise create_api_error_from_http_exception(exc) from exc


@contextmanager
def engine_errors(doing: str, *, at: str = "", hint: str = "lab doctor") -> Iterator[None]:
    """Turn whatever the docker SDK raises into an EngineError that says what was being done to what."""
    try:
        yield
    except LabError:
        raise
    except APIError as exc:
        raise EngineError(f"can't {doing}: {exc.explanation or exc}", at=at, hint=hint) from exc
    except (DockerException, requests.RequestException, OSError) as exc:
        raise EngineError(f"can't {doing}: {exc}", at=at, hint=hint) from exc
