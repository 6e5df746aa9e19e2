"""A deployment that is somebody else's, as a scenario names it: its doors, its releases, and who bears witness."""

from __future__ import annotations

import ipaddress
import shutil
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from lab.model import Value

Refuse = Callable[[str, str, str], None]
"""Given the key, what is wrong there, and what would be right."""
HTTP_PORTS = {"http": 80, "https": 443}


class TlsSpec(Value):
    """Certificates are always verified; against the system's authorities, or these."""

    ca: str | None = None
    """A PEM file of the authorities to trust, beside this file."""
    server_name: str | None = None
    """The name that the certificate must have; that of the URL if not given."""


class ReleaseSource(Value):
    """What tells which release answered. One of both."""

    header: str | None = None
    """The header of each answer that names it."""
    get: str | None = None
    """A path that is asked now and then instead; what it says is that of some replica."""
    json: str = "release"
    """With `get`: the key of its JSON object that names the release."""


class ReplicaSource(Value):
    """What tells which replica answered."""

    header: str = "X-Served-By"
    """The header of each answer that names it."""


class EvidenceSpec(Value):
    """Who says what happens to the deployment, beside its answers; at most one. Looking changes nothing."""

    compose: str | None = None
    """A Compose project on this engine: its containers' events and health."""
    command: tuple[str, ...] = ()
    """A program that prints JSON lines: {"who": "pod-1", "what": "started|ready|leaving|ended", "release": "v2"}."""

    @property
    def is_given(self) -> bool:
        return self.compose is not None or bool(self.command)


class TargetSpec(Value):
    """A deployment that stands already and that the lab neither makes nor removes; instead of `cluster`."""

    urls: tuple[str, ...]
    """Doors to one and the same app: http or https, no path."""
    tls: TlsSpec = TlsSpec()
    """How certificates are verified."""
    release: ReleaseSource | None = None
    """What tells which release answered; not known if not given."""
    replica: ReplicaSource | None = None
    """What tells which replica answered; not known if not given."""
    evidence: EvidenceSpec = EvidenceSpec()
    """Who else says what happens there."""
    rate: float | None = None
    """Requests a second at most, of all users together; needed off this machine."""
    allow: tuple[str, ...] = ()
    """Each host that is not on this machine or in a private network; it must also show that it agrees."""

    @property
    def doors(self) -> tuple[SplitResult, ...]:
        """Each URL in its parts."""
        return tuple(urlsplit(url) for url in self.urls)


class CommandSpec(Value):
    """A command of your own, such as a deploy script: run without a shell, its lines on the timeline."""

    run: tuple[str, ...]
    """The program and its arguments; a program with a slash in its name is meant from this file's folder."""
    within: float = 300.0
    """Seconds after which it is ended."""

    @property
    def text(self) -> str:
        return " ".join(self.run)


def port_of(door: SplitResult) -> int:
    """The port of a door, its scheme's own if none is given. Raises ValueError for one that is not a port."""
    return door.port if door.port is not None else HTTP_PORTS[door.scheme]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or number."""
    return host == "localhost" or (_is_number(host) and ipaddress.ip_address(host).is_loopback)


def is_private(host: str) -> bool:
    """Whether a host is this machine or in a private network, by its number; a name may be anywhere."""
    return is_loopback(host) or (_is_number(host) and ipaddress.ip_address(host).is_private)


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def check_target(target: TargetSpec, refuse: Refuse) -> None:
    """What types alone can't say of a target; no host is asked anything."""
    if not target.urls:
        refuse("urls", "no door is given", 'urls: ["http://127.0.0.1:8080"]')
    for number, url in enumerate(target.urls):
        _check_url(url, f"urls[{number}]", target, refuse)
    if target.rate is not None and target.rate <= 0:
        refuse("rate", "must be over 0", "rate: 50")
    if target.rate is None and not all(is_loopback(door.hostname or "") for door in target.doors):
        refuse("rate", "is needed where the doors are not on this machine", "rate: 50")
    if target.release is not None and (target.release.header is None) == (target.release.get is None):
        refuse("release", "is named by either `header` or `get`", "release: {header: X-Release}")
    if target.evidence.compose is not None and target.evidence.command:
        refuse("evidence", "comes from either `compose` or `command`", "evidence: {compose: shop}")


def _check_url(url: str, key: str, target: TargetSpec, refuse: Refuse) -> None:
    door = urlsplit(url)
    try:
        is_door = door.scheme in HTTP_PORTS and bool(door.hostname) and 0 < port_of(door) < 1 << 16
    except (ValueError, KeyError):
        is_door = False
    if not is_door or door.username is not None or door.query or door.fragment or door.path not in {"", "/"}:
        refuse(key, f"is not the URL of a door: {url!r}", "http://127.0.0.1:8080")
    host = door.hostname or ""
    if not is_private(host) and host not in target.allow:
        what = f"{host} is neither this machine nor in a private network"
        refuse(key, what, f"allow: [{host}]   # only what is yours to load")


def check_command(command: CommandSpec, refuse: Refuse) -> None:
    """The program is there, on the PATH or by its path, and its time is one."""
    if not command.run:
        refuse("run", "no program is given", 'run: ["./deploy.sh", "v2"]')
    program = command.run[0] if command.run else ""
    if command.run and "/" not in program and shutil.which(program) is None:
        refuse("run[0]", f"no program {program!r} that can be run", "chmod +x, or its whole path")
    if command.within <= 0:
        refuse("within", "must be over 0", "within: 300")
