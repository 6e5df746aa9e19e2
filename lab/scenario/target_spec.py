"""A deployment that is somebody else's, as a scenario names it: its doors, its releases, and who bears witness."""

from __future__ import annotations

import ipaddress
import re
import shutil
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from lab.model import Value

Refuse = Callable[[str, str, str], None]
"""Given the key, what is wrong there, and what would be right."""
HTTP_PORT = 80
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""What HTTP takes for the name of a header."""


class HeaderSource(Value):
    """Where each answer says something of itself."""

    header: str
    """The header of each answer that says it."""


class TargetSpec(Value):
    """A deployment that stands already and that the lab neither makes nor removes; instead of `cluster`."""

    urls: tuple[str, ...]
    """Doors to one and the same app: plain HTTP, no path; users are spread over them. Hosts are this machine
    ("localhost") or addresses of a private network."""
    release: HeaderSource | None = None
    """What tells which release answered; not known if not given."""
    replica: HeaderSource | None = None
    """What tells which replica answered; if not given, only what another release shows is known to come from
    elsewhere."""
    rate: float | None = None
    """Requests a second at most, of all users together; needed off this machine. Users think longer where they would
    send more."""

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
    """The port of a door, HTTP's own if none is given. Raises ValueError for one that is not a port."""
    return HTTP_PORT if door.port is None else door.port


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or number."""
    return host == "localhost" or (_is_number(host) and ipaddress.ip_address(host).is_loopback)


def is_private(host: str) -> bool:
    """Whether a host is this machine or in a private network, by its number; a name may be anywhere.

    Link-local addresses are not: that is where clouds tell secrets.
    """
    if is_loopback(host):
        return True
    return _is_number(host) and ipaddress.ip_address(host).is_private and not ipaddress.ip_address(host).is_link_local


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
        _check_url(url, f"urls[{number}]", refuse)
    if target.rate is None and not all(is_loopback(door.hostname or "") for door in target.doors):
        refuse("rate", "is needed where the doors are not on this machine", "rate: 50")
    for key, source in (("release", target.release), ("replica", target.replica)):
        if source is not None and not _HEADER.fullmatch(source.header):
            refuse(f"{key}.header", f"{source.header!r} is not a valid header name", f"{key}: {{header: X-Release}}")


def _check_url(url: str, key: str, refuse: Refuse) -> None:
    example = "http://127.0.0.1:8080"
    try:
        door = urlsplit(url)
        is_door = bool(door.hostname) and 0 < port_of(door) < 1 << 16
    except ValueError:
        refuse(key, f"{url!r} is not a valid URL", example)
        return
    if door.scheme == "https":
        refuse(key, "users speak plain HTTP only", "the port behind whatever ends TLS, such as http://127.0.0.1:8080")
    if not is_door or door.scheme != "http":
        refuse(key, f"{url!r} is not a valid URL of a door", example)
    if door.username is not None or door.query or door.fragment or door.path not in {"", "/"}:
        refuse(key, f"{url!r} has more than a host and a port", example)
    host = door.hostname or ""
    if not is_private(host):
        what = f"{host} is neither this machine nor an address of a private network: the lab sends no load there"
        refuse(key, what, example)


def check_command(command: CommandSpec, refuse: Refuse) -> None:
    """The program is there, on the PATH or by its path, and its time is one."""
    if not command.run:
        refuse("run", "no program is given", 'run: ["./deploy.sh", "v2"]')
    program = command.run[0] if command.run else ""
    if command.run and "/" not in program and shutil.which(program) is None:
        refuse("run[0]", f"no program {program!r} that can be run", "chmod +x, or its whole path")
    if command.within <= 0:
        refuse("within", "must be over 0", "within: 300")
