"""The bytes of one request."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lab.model import Value
from lab.users.wire import Door

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Content(Value):
    """A body that is sent as it is, and headers beside it. Names and values must be ASCII without line ends."""

    body: bytes = b""
    kind: str = ""
    accepts: str = "text/html, application/json;q=0.9, */*;q=0.8"
    headers: Mapping[str, str] = {}


PAGE = Content(accepts="text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
"""What a browser asks for."""

_encode = msgspec.json.Encoder().encode


class Request:
    """A request's bytes, all but whom it is sent to and the cookies, which may change between two tries."""

    __slots__ = ("_accepts", "_after", "_agent", "_content", "_method", "_path")

    def __init__(self, method: str, path: str, body: object, key: str | None, agent: str) -> None:
        if not path.isascii() or not path.isprintable() or " " in path:
            raise ValueError(f"not a path that can be sent: {path!r}; quote its parts first")
        after = "" if key is None else f"Idempotency-Key: {key}\r\n"
        if isinstance(body, Content):
            content, kind, accepts = body.body, body.kind, body.accepts
            for name, value in body.headers.items():
                after += f"{name}: {value}\r\n"
        else:
            content, kind, accepts = b"" if body is None else _encode(body), JSON, JSON
        self._method, self._path, self._accepts, self._agent = method, path, accepts, agent
        if content:
            after = f"{after}Content-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
        elif method != "GET":
            after += "Content-Length: 0\r\n"
        self._after, self._content = after, content

    def to(self, target: Door, *, cookies: str) -> bytes:
        """The whole request; `cookies` is the Cookie header's value."""
        cookie = f"Cookie: {cookies}\r\n" if cookies else ""
        head = (
            f"{self._method} {target.prefix}{self._path} HTTP/1.1\r\nAccept: {self._accepts}\r\n"
            f"User-Agent: lab ({self._agent})\r\nHost: {target.authority}\r\n{cookie}{self._after}\r\n"
        ).encode("latin-1")
        return head + self._content if self._content else head
