"""A deployment that somebody else performs: where users find it, and whether it is there. Nothing is done to it."""

from __future__ import annotations

import http.client
import secrets
import ssl
from collections.abc import Mapping
from urllib.parse import SplitResult

from lab.errors import UsageError
from lab.scenario.target_spec import TargetSpec, TlsSpec, is_private, port_of
from lab.users.head import HeaderNames
from lab.users.wire import Door

ANSWERS_WITHIN = 5.0
"""Seconds in which each door must answer one request before the lab sends it users."""
AGREES_AT = "/.well-known/cluster-lab"
"""Where a host that is not this machine's gives back the token that it is asked with."""
LARGEST_TOKEN = 4096


class Target:
    """The doors of a deployment that the lab neither makes nor removes."""

    name = "target"

    def __init__(self, spec: TargetSpec) -> None:
        """Raises UsageError where the certificates to trust can't be read."""
        self.spec = spec
        self._tls = _context(spec.tls) if any(door.scheme == "https" for door in spec.doors) else None
        server_name = (spec.tls.name or "") if spec.tls is not None else ""
        names = _names(spec)
        self.doors = tuple(
            Door(
                host=_host(door),
                port=port_of(door),
                names=names,
                tls=self._tls if door.scheme == "https" else None,
                server_name=server_name,
                is_own=False,
            )
            for door in spec.doors
        )

    @property
    def rate(self) -> float | None:
        """Requests a second at most, of all users together; None: as many as they send."""
        return self.spec.rate

    def describe(self) -> Mapping[str, object]:
        """What is watched, for the record."""
        return {"backend": self.name, "doors": [door.origin for door in self.doors]}

    def check(self) -> None:
        """Raise UsageError for a door that does not answer, shows no certificate to trust, or has not agreed to this.

        Each is asked once, and any status will do; no redirect is followed.
        """
        for url, door in zip(self.spec.urls, self.doors, strict=True):
            if not is_private(door.host):
                self._check_agrees(url, door)
            ask(door, "/")

    def _check_agrees(self, url: str, door: Door) -> None:
        """Raise UsageError unless the door gives back a token that nobody can have known."""
        token = secrets.token_urlsafe(16)
        header = self.spec.token_header
        if header is not None:
            said = ask(door, "/", {header: token})[1].get(header.lower(), "")
            where = f"the header {header} of its answer"
        else:
            status, _, body = ask(door, f"{AGREES_AT}?token={token}")
            said = body.decode(errors="replace").strip() if status == http.client.OK else ""
            where = f"{AGREES_AT}?token=..."
        if not secrets.compare_digest(said.encode(), token.encode()):
            raise UsageError(
                f"has not agreed to be watched: {where} does not give the token back",
                at=url,
                hint=f"location = {AGREES_AT} {{ return 200 $arg_token; }}   # as nginx says it",
            )


def ask(door: Door, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    """What a door answers to one GET: status, headers by their names in lower case, and the body's begin.

    Raises UsageError where no answer comes in time, or none that can be trusted.
    """
    if door.tls is None:
        asked: http.client.HTTPConnection = http.client.HTTPConnection(door.host, door.port, timeout=ANSWERS_WITHIN)
    else:
        asked = _Verified(door, door.tls)
    try:
        asked.request("GET", path, headers={"Host": door.authority, **(headers or {})})
        answer = asked.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read(LARGEST_TOKEN)
    except ssl.SSLCertVerificationError as exc:
        hint = "target: {tls: {ca: ca.pem}}, the certificates to trust; or tls.name, the name that it is for"
        raise UsageError(f"its certificate can't be trusted: {exc.verify_message}", at=door.origin, hint=hint) from exc
    except (OSError, http.client.HTTPException) as exc:
        why = str(exc) or type(exc).__name__
        raise UsageError(f"does not answer: {why}", at=door.origin, hint=f"curl -v {door.origin}") from exc
    finally:
        asked.close()


class _Verified(http.client.HTTPSConnection):
    """Asks under another name than the one that it connects to, where the certificate is for that."""

    def __init__(self, door: Door, context: ssl.SSLContext) -> None:
        super().__init__(door.host, door.port, timeout=ANSWERS_WITHIN)
        self._door, self._trusted = door, context

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._trusted.wrap_socket(self.sock, server_hostname=self._door.server_name or self._door.host)


def _context(tls: TlsSpec | None) -> ssl.SSLContext:
    """What verifies certificates, always."""
    ca = None if tls is None else tls.ca
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as exc:
        raise UsageError(f"holds no certificates: {exc}", at=str(ca), hint="a file in PEM") from exc
    context.set_alpn_protocols(["http/1.1"])
    return context


def _names(spec: TargetSpec) -> HeaderNames:
    release = None if spec.release is None else spec.release.of_answers
    replica = spec.replica or release  # where only releases have names, that of another one is another replica's, too
    return HeaderNames(
        replica=_lower(None if replica is None else replica.header),
        release=_lower(None if release is None else release.header),
        edge=b"",
        replica_json="" if replica is None else replica.json or "",
        release_json="" if release is None else release.json or "",
    )


def _lower(header: str | None) -> bytes:
    return b"" if header is None else header.lower().encode()


def _host(door: SplitResult) -> str:
    return door.hostname or ""
