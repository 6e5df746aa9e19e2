"""The head of an answer: its status, its headers, and who it says has answered."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec

from lab.model import Value

_decode = msgspec.json.Decoder().decode
END = b"\r\n\r\n"
"""What stands between the head of an answer and its body."""


class HeaderNames(Value):
    """Which headers of an answer say who answered, in lower case; empty: none does. Bodies may say it, too."""

    replica: bytes = b"x-replica"
    release: bytes = b"x-release"
    edge: bytes = b"x-edge"
    """The addresses that the lab's balancer tried."""
    replica_json: str = ""
    """Where the replica stands in an answer's JSON, such as "meta.replica"; empty: nowhere."""
    release_json: str = ""

    @property
    def are_in_bodies(self) -> bool:
        return bool(self.replica_json or self.release_json)


OF_THE_LAB = HeaderNames()
"""Those that the lab's own balancer passes on or adds."""


class Head(Value):
    """All of an answer but its body. Header names are lower case; `cookies` holds each Set-Cookie line."""

    status: int
    headers: dict[bytes, bytes]
    result: str
    """The status as a try's result."""
    length: int
    """The body's bytes, by the head's word; -1 where it does not say."""
    cookies: tuple[bytes, ...] = ()
    replica: str | None = None
    """The replica that answered, by its own word."""
    release: str | None = None
    edge: tuple[str, ...] = ()
    """The slots that the balancer tried, in order."""
    said: bytes = b""
    """All that its headers say."""

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")


def read_head(
    status: int, headers: dict[bytes, bytes], cookies: tuple[bytes, ...] = (), names: HeaderNames = OF_THE_LAB
) -> Head:
    """A head, with what its headers say of who answered."""
    said = headers.get(b"content-length", b"")
    return Head(
        status=status,
        headers=headers,
        result=str(status),
        length=int(said) if said.isdigit() and b"transfer-encoding" not in headers else -1,
        cookies=cookies,
        replica=_named(headers.get(names.replica)),
        release=_named(headers.get(names.release)),
        edge=slots_of(headers.get(names.edge, b"").decode("latin-1")),
        said=b"\n".join((*headers.values(), *cookies)),
    )


def named_by_body(head: Head, body: bytes, names: HeaderNames) -> Head:
    """The head, with what the JSON of its body says of who answered; as it is where that is no JSON or says nothing."""
    try:
        said = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return head
    found = {
        name: named
        for name, path in (("replica", names.replica_json), ("release", names.release_json))
        if path and (named := at_path(said, path))
    }
    return msgspec.structs.replace(head, **found) if found else head


def at_path(said: Any, path: str) -> str:
    """The text or number that stands at a path in decoded JSON, as text; "" for anything else."""
    for key in path.split("."):
        if isinstance(said, dict):
            said = said.get(key)
        elif isinstance(said, list) and key.isdecimal() and int(key) < len(said):
            said = said[int(key)]
        else:
            return ""
    return str(said) if isinstance(said, str | int | float) and not isinstance(said, bool) else ""


class KnownHeads:
    """Heads by their bytes: those of an app's answers are mostly the same, and reading one costs as much as all the
    rest of an answer. What the parser has read once, and what says how long its body is, need not be read again.
    """

    MOST = 1024
    """So many are kept; then all are forgotten, for a head with the time of day in it never comes back."""
    LONGEST = 1024

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}

    def split(self, piece: bytes) -> tuple[Head | None, bytes]:
        """Head and body, if `piece` is one whole answer with a known head and no byte more; else no head."""
        raw, _, body = piece.partition(END)
        head = self._heads.get(raw)
        if head is not None and head.length == len(body):
            return head, body
        return None, piece

    def learn(self, piece: bytes, head: Head) -> None:
        """The parser found one whole answer with this head in `piece`, and the connection goes on."""
        raw, _, body = piece.partition(END)
        if head.length == len(body) and not head.cookies and len(raw) <= self.LONGEST:
            if len(self._heads) >= self.MOST:
                self._heads.clear()
            self._heads[raw] = head


@lru_cache(maxsize=1024)
def _named(header: bytes | None) -> str | None:
    """A name that few headers say over and over, as one text for all of them."""
    return header.decode("latin-1") if header else None


@lru_cache(maxsize=1024)
def slots_of(edge: str) -> tuple[str, ...]:
    """The slots that X-Edge names, in the order tried: `unix:/run/slots/a1.sock, -` is `("a1",)`.

    An address that is no slot's socket stays as it is.
    """
    addresses = re.split(r"\s*,\s*|\s+:\s+", edge.strip())
    return tuple(address.rpartition("/")[2].removesuffix(".sock") for address in addresses if address not in {"", "-"})
