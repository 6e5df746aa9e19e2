"""The Docker engine of this machine: find it, talk to it, and turn its errors into the lab's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import requests
from docker import APIClient
from docker.context import Context, ContextAPI
from docker.context.config import get_current_context_name
from docker.errors import APIError, DockerException, NotFound, create_api_error_from_http_exception
from docker.tls import TLSConfig
from urllib3.exceptions import HTTPError

from lab.errors import EngineAway, EngineError, LabError, SetupError
from lab.model import Value

OLDEST_API = (1, 41)
"""Docker Engine 20.10."""
GONE_OR_SO = {304, 404, 409}
"""What the engine answers where a container is gone, or is already as it was asked to be."""
GONE = (DockerException, requests.RequestException, OSError)
"""What comes where an engine is no longer there; what it refuses is an APIError, which is among these, too."""
SO_ALREADY = (
    "is not paused",
    "is already paused",
    "is not running",
    "cannot resume a stopped container",
    "cannot update a stopped container",
)
"""What an older engine says with status 500 instead."""

__all__ = [
    "APIError",
    "EngineInfo",
    "APIClient",
    "GONE",
    "NotFound",
    "connect",
    "context_addresses",
    "describe",
    "engine_address",
    "engine_errors",
    "roll_service_back",
    "save_images",
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
    kind: str = "Docker"
    """Whose engine it is: Docker or Podman."""
    traits: tuple[str, ...] = ()
    """What is special about it: rootless, Docker Desktop."""

    @property
    def title(self) -> str:
        """Its name for people."""
        return f"{self.kind} {self.version}{''.join(f', {one}' for one in self.traits)}"


def engine_address() -> str:
    """Where this user's Docker tools look for the engine: DOCKER_HOST, else the current context, else the default.

    Raises SetupError for a context that there is none of, as they do.
    """
    given = os.environ.get("DOCKER_HOST")
    if given:
        return given
    host = getattr(_context(), "Host", None)
    return str(host) if host else "unix:///var/run/docker.sock"


def _context() -> Context | None:
    """The context that is in use; None where none is named, or Docker's files can't be read."""
    named = os.environ.get("DOCKER_CONTEXT")
    try:
        name = named or get_current_context_name()
        found = ContextAPI.get_context(name)
    except (DockerException, OSError, ValueError):
        return None
    except Exception as exc:  # the SDK's own word for a file that it can't read
        raise SetupError(
            f"the Docker context can't be read: {exc}", at="docker context", hint="docker context ls"
        ) from exc
    if found is None:
        raise SetupError(
            f"there is no Docker context {name!r}",
            at="DOCKER_CONTEXT" if named else "docker context show",
            hint="docker context ls; unset DOCKER_CONTEXT   # or: docker context use default",
        )
    return found


def _tls() -> TLSConfig | None:
    """The keys with which the engine is asked, where it wants some: DOCKER_CERT_PATH's, or the context's."""
    if not os.environ.get("DOCKER_HOST"):
        found = _context()
        return None if found is None else found.TLSConfig
    folder, verify = os.environ.get("DOCKER_CERT_PATH"), os.environ.get("DOCKER_TLS_VERIFY")
    if not verify and not folder:
        return None
    keys = Path(folder) if folder else Path.home() / ".docker"
    ca = keys / "ca.pem"
    pair = (str(keys / "cert.pem"), str(keys / "key.pem"))
    return TLSConfig(client_cert=pair, ca_cert=str(ca) if verify else None, verify=bool(verify))


def context_addresses() -> list[str]:
    """Where the engines of all of this user's contexts answer."""
    try:
        found = ContextAPI.contexts()
    except (DockerException, OSError, ValueError):
        return []
    return [str(one.Host) for one in found if getattr(one, "Host", None)]


def try_connect(address: str | None = None, *, timeout: float = 60) -> APIClient | None:
    """A client of the engine if one answers now, else None. Raises SetupError as `engine_address` does."""
    where = address or engine_address()
    if _is_missing(where):
        return None
    try:
        return _open(where, timeout)
    except _SILENT:
        return None


def _is_missing(where: str) -> bool:
    return where.startswith("unix://") and not Path(where.removeprefix("unix://")).exists()


_SILENT = (DockerException, requests.RequestException, OSError, ValueError)
"""What comes of an engine that does not answer, or of an address that is none."""


def _open(where: str, timeout: float) -> APIClient:
    client = APIClient(base_url=where, version="auto", timeout=int(timeout), **_ways(where))
    client.hooks["response"].append(_as_docker_answers)
    client.ping()
    return client


def _as_docker_answers(answer: requests.Response, *_: object, **__: object) -> None:
    """Podman calls it a fault of its own where a container is removed while it looks at it: to whoever asks it is not
    there."""
    if answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR and b"no such container" in answer.content.lower():
        answer.status_code = HTTPStatus.NOT_FOUND


def why_silent(address: str, *, timeout: float = 5) -> str:
    """Why nobody answers at an address, in the words of whatever failed first; "" where somebody does."""
    if _is_missing(address):
        return "there is no such socket"
    try:
        _open(address, timeout).close()
    except _SILENT as exc:
        cause: BaseException = exc
        while (below := cause.__cause__ or cause.__context__) is not None:
            cause = below
        return " ".join(str(cause).split())[:200] or type(cause).__name__
    return ""


def _ways(where: str) -> Mapping[str, Any]:
    """How an engine elsewhere is spoken to: with keys over TCP, by the system's own ssh."""
    if where.startswith("ssh://"):
        return {"use_ssh_client": True}
    tls = _tls() if where.startswith(("tcp://", "https://")) else None
    return {"tls": tls} if tls is not None else {}


def connect() -> APIClient:
    """A client of a running engine. Raises SetupError where none answers or it is older than 20.10."""
    client = try_connect()
    if client is None:
        raise SetupError(
            "no Docker engine answers",
            at=engine_address(),
            hint="lab setup   # installs or starts one on Debian and Ubuntu; elsewhere: start Docker Desktop",
        )
    if api_of(client.api_version) < OLDEST_API:
        version = client.version().get("Version", "?")
        raise SetupError(f"Docker Engine {version} is older than 20.10", hint="upgrade Docker, then lab doctor")
    return client


def api_of(version: str) -> tuple[int, ...]:
    """An API's version as numbers. Raises SetupError for what is none: whatever answers there is no Docker engine."""
    try:
        return tuple(int(part) for part in version.split("."))
    except ValueError as exc:
        what = f"what answers says that its API is {version!r}, which no Docker engine does"
        raise SetupError(what, at=engine_address(), hint="docker version; unset DOCKER_HOST") from exc


def describe(client: APIClient) -> EngineInfo:
    """What engine this is. Raises EngineError, also for answers that no engine gives."""
    with engine_errors("ask the engine what it is"):
        info, version = client.info(), client.version()
    try:
        return msgspec.convert(
            {
                "version": version.get("Version", ""),
                "api": version.get("ApiVersion", ""),
                "system": info.get("OperatingSystem", ""),
                "architecture": info.get("Architecture", ""),
                "cores": info.get("NCPU", 0),
                "memory_bytes": info.get("MemTotal", 0),
                "storage_driver": info.get("Driver", ""),
                "kind": kind_of(version),
                "traits": traits_of(info),
            },
            EngineInfo,
        )
    except (AttributeError, TypeError, msgspec.ValidationError) as exc:  # another shape than any engine's answer
        what = f"what answers there is no engine that the lab knows: {exc}"
        raise EngineError(what, at=engine_address(), hint="docker info; unset DOCKER_HOST") from exc


def kind_of(version: Mapping[str, Any]) -> str:
    """Whose engine it is, by its own parts: Podman answers on Docker's API too."""
    names = [str(one.get("Name", "")) for one in version.get("Components") or ()]
    return "Podman" if any("podman" in name.lower() for name in names) else "Docker"


def is_podman(client: APIClient) -> bool:
    """Whether Podman answers: not all that it takes means there what it means to Docker."""
    with engine_errors("ask the engine what it is"):
        return kind_of(client.version()) == "Podman"


def traits_of(info: Mapping[str, Any]) -> tuple[str, ...]:
    """What is special about an engine that one may have to know when something can't be done on it."""
    options = [str(one) for one in info.get("SecurityOptions") or ()]
    found = ["rootless"] if info.get("Rootless") or any(one.startswith("name=rootless") for one in options) else []
    system = str(info.get("OperatingSystem", ""))
    return (*found, *(["Docker Desktop"] if "Docker Desktop" in system else []))


def set_nano_cpus(client: APIClient, container: str, nano_cpus: int) -> None:
    """How many billionths of a processor a container has that was made with such a limit: the SDK has no call for it.

    Raises as the SDK's own calls do.
    """
    _checked(client.post(_at(client, f"containers/{container}/update"), json={"NanoCpus": nano_cpus}))


def roll_service_back(client: APIClient, service: str, version: int, spec: Mapping[str, object]) -> None:
    """Let Swarm bring back what a service was before its last change: the SDK has no word for it.

    Raises as the SDK's own calls do.
    """
    asked = {"version": str(version), "rollback": "previous"}
    _checked(client.post(_at(client, f"services/{service}/update"), params=asked, json=spec))


def save_images(client: APIClient, tags: Sequence[str]) -> Iterator[bytes]:
    """Several images as one archive, in which what they share stands once: the SDK saves one at a time.

    Raises as the SDK's own calls do.
    """
    answer = _checked(client.get(_at(client, "images/get"), params={"names": list(tags)}, stream=True))
    yield from answer.iter_content(2**20)


def _at(client: APIClient, path: str) -> str:
    return f"{client.base_url}/v{client.api_version}/{path}"


def _checked(answer: requests.Response) -> requests.Response:
    try:
        answer.raise_for_status()
    except requests.HTTPError as exc:
        raise create_api_error_from_http_exception(exc) from exc
    return answer


@contextmanager
def engine_errors(doing: str, *, at: str = "", hint: str = "lab doctor") -> Iterator[None]:
    """Turn whatever the docker SDK raises into an EngineError that says what was being done to what; an EngineAway
    where no engine answered."""
    try:
        yield
    except LabError:
        raise
    except APIError as exc:
        raise EngineError(f"can't {doing}: {exc.explanation or exc}", at=at, hint=hint) from exc
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, ConnectionError, HTTPError) as exc:
        raise EngineAway(f"can't {doing}: the engine does not answer: {exc}", at=at, hint=hint) from exc
    except (DockerException, requests.RequestException, OSError) as exc:
        raise EngineError(f"can't {doing}: {exc}", at=at, hint=hint) from exc
