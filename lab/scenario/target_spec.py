"""A deployment that is somebody else's, as a scenario names it: its doors, its releases, and who bears witness."""

from __future__ import annotations

import ipaddress
import re
import shutil
from collections.abc import Callable, Collection
from urllib.parse import SplitResult, urlsplit

from lab.machine.places import is_project
from lab.model import Value

Refuse = Callable[[str, str, str], None]
"""Given the key, what is wrong there, and what would be right."""
HTTP_PORT, HTTPS_PORT = 80, 443
_SERVICE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""What HTTP takes for the name of a header."""


class AnswerSource(Value):
    """Where each answer says something of itself; one of both."""

    header: str | None = None
    """The header of each answer that says it."""
    json: str | None = None
    """Where it stands in the JSON of each answer that is JSON, such as "meta.replica"."""


class ReleaseSource(Value):
    """What tells releases apart: each answer itself, and beside it, if `get` is given, what is asked every second."""

    header: str | None = None
    """The header of each answer that says which release gave it."""
    get: str | None = None
    """A path that tells which release is there: a second sign, since it says nothing of single answers."""
    json: str | None = None
    """Where the release stands in the JSON that `get` answers, or, without `get`, in that of each answer. With `get`
    and without `json`, its whole text is the release."""

    @property
    def of_answers(self) -> AnswerSource | None:
        """What tells which release gave an answer; None where nothing does."""
        by_json = self.json if self.get is None else None
        return None if self.header is None and by_json is None else AnswerSource(header=self.header, json=by_json)


class TlsSpec(Value):
    """How doors show who they are. They always must."""

    ca: str | None = None
    """The certificates to trust, in PEM, beside this file; those of the system if not given."""
    name: str | None = None
    """The name for which the certificate must be, where it is not the URL's host."""


class EvidenceSpec(Value):
    """Who else bears witness of what happens inside; exactly one of these. It is read, and nothing is done to it."""

    compose: str | None = None
    """The name of a Compose project on this machine's engine: its containers' events and health."""
    swarm: str | None = None
    """The name of a service of the swarm that this machine's engine manages: its tasks."""
    command: tuple[str, ...] = ()
    """A program of your own, and its arguments, that prints a line of JSON for whatever it sees:
    {"who": "web-1", "what": "ready", "release": "v2"}; what is started, ready, leaving or ended."""

    @property
    def text(self) -> str:
        if self.compose is not None:
            return f"compose:{self.compose}"
        return " ".join(self.command) if self.swarm is None else f"swarm:{self.swarm}"


class TargetSpec(Value):
    """A deployment that stands already and that the lab neither makes nor removes; instead of `cluster`."""

    urls: tuple[str, ...]
    """Doors to one and the same app, http or https, no path; users are spread over them. Hosts are this machine
    ("localhost"), addresses of a private network, or in `allow`."""
    tls: TlsSpec | None = None
    """What certificates are trusted where doors are https; the system's, for the URL's host, if not given."""
    release: ReleaseSource | None = None
    """What tells which release answered; not known if not given."""
    replica: AnswerSource | None = None
    """What tells which replica answered; if not given, only what another release shows is known to come from
    elsewhere."""
    evidence: EvidenceSpec | None = None
    """Who else tells what happens inside; if not given, only what answers show is known."""
    rate: float | None = None
    """Requests a second at most, of all users together; needed off this machine. Users think longer where they would
    send more."""
    allow: tuple[str, ...] = ()
    """Hosts elsewhere to which load may go; each must show that it agrees, by its answer to a fresh token."""
    token_header: str | None = None
    """The header by which a host in `allow` gives back the token that came in it, where it has no page for that."""

    @property
    def doors(self) -> tuple[SplitResult, ...]:
        """Each URL in its parts."""
        return tuple(urlsplit(url) for url in self.urls)

    @property
    def has_second_sign(self) -> bool:
        """Whether something beside the answers of users tells that a new release is there."""
        return self.evidence is not None or (self.release is not None and self.release.get is not None)


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
    usual = HTTPS_PORT if door.scheme == "https" else HTTP_PORT
    return usual if door.port is None else door.port


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
        _check_url(url, f"urls[{number}]", target.allow, refuse)
    if target.tls is not None and not any(door.scheme == "https" for door in target.doors):
        refuse("tls", "no door is https", 'urls: ["https://127.0.0.1:8443"]')
    if target.rate is None and not all(is_loopback(door.hostname or "") for door in target.doors):
        refuse("rate", "is needed where the doors are not on this machine", "rate: 50")
    if target.release is not None:
        _check_release(target.release, refuse)
    if target.replica is not None:
        _check_answer_source("replica", target.replica, refuse)
    if target.token_header is not None:
        _check_header("token_header", target.token_header, refuse)
        if not target.allow:
            refuse("token_header", "no host is allowed that must agree", "allow: [staging.example]")
    if target.evidence is not None:
        _check_evidence(target.evidence, refuse)


def _check_release(source: ReleaseSource, refuse: Refuse) -> None:
    if source.get is None:
        _check_answer_source("release", AnswerSource(header=source.header, json=source.json), refuse)
    elif not source.get.startswith("/") or not source.get.isascii() or not source.get.isprintable():
        refuse("release.get", f"{source.get!r} is not a valid path", "get: /version")
    elif source.header is not None:
        _check_header("release.header", source.header, refuse)


def _check_answer_source(key: str, source: AnswerSource, refuse: Refuse) -> None:
    if (source.header is None) == (source.json is None):
        refuse(key, "is either a header or a place in the JSON of answers", f"{key}: {{header: X-{key.title()}}}")
    if source.header is not None:
        _check_header(f"{key}.header", source.header, refuse)


def _check_header(key: str, name: str, refuse: Refuse) -> None:
    if not _HEADER.fullmatch(name):
        refuse(key, f"{name!r} is not a valid header name", f"{key.partition('.')[2] or key}: X-Release")


def _check_evidence(evidence: EvidenceSpec, refuse: Refuse) -> None:
    if sum((evidence.compose is not None, evidence.swarm is not None, bool(evidence.command))) != 1:
        refuse("evidence", "is exactly one of compose, swarm, command", "evidence: {compose: shop}")
    if evidence.swarm is not None and not _SERVICE.fullmatch(evidence.swarm):
        refuse("evidence.swarm", f"{evidence.swarm!r} is not the name of a service", "swarm: shop_web")
    if evidence.compose is not None and not is_project(evidence.compose):
        refuse("evidence.compose", f"{evidence.compose!r} is not the name of a Compose project", "compose: shop")
    if evidence.command:
        _check_program("evidence.command[0]", evidence.command[0], refuse)


def _check_url(url: str, key: str, allow: Collection[str], refuse: Refuse) -> None:
    example = "http://127.0.0.1:8080"
    try:
        door = urlsplit(url)
        is_door = bool(door.hostname) and 0 < port_of(door) < 1 << 16
    except ValueError:
        refuse(key, f"{url!r} is not a valid URL", example)
        return
    if not is_door or door.scheme not in {"http", "https"}:
        refuse(key, f"{url!r} is not a valid URL of a door", example)
    if door.username is not None or door.query or door.fragment or door.path not in {"", "/"}:
        refuse(key, f"{url!r} has more than a host and a port", example)
    host = door.hostname or ""
    if not is_private(host) and host not in {one.lower() for one in allow}:
        what = f"{host} is neither this machine nor an address of a private network: the lab sends no load there"
        refuse(key, what, f"{example}; or, where its owner agrees, allow: [{host}]")


def check_command(command: CommandSpec, refuse: Refuse) -> None:
    """The program is there, on the PATH or by its path, and its time is one."""
    if not command.run:
        refuse("run", "no program is given", 'run: ["./deploy.sh", "v2"]')
    else:
        _check_program("run[0]", command.run[0], refuse)
    if command.within <= 0:
        refuse("within", "must be over 0", "within: 300")


def _check_program(key: str, program: str, refuse: Refuse) -> None:
    if "/" not in program and shutil.which(program) is None:
        refuse(key, f"no program {program!r} that can be run", "chmod +x, or its whole path")
