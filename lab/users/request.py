"""The bytes of one request."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lab.model import Value
from lab.users.wire import Target

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Content(Value):
    """A body that is sent as it is, and headers beside it. Names and values must be ASCII without line ends."""

    body: bytes = b""
    kind: str = ""
    accepts: str = "text/html, application/json;q=0.9, */*;q=0.8"
    headers: Mapping[str, str] = {}


_encoder = msgspec.json.Encoder()
_NOTHING = Content(accepts=JSON)


class Request:
    """A request's bytes, all but whom it is sent to and the cookies, which may change between two tries."""

    __slots__ = ("_after", "_before", "_content", "path")

    def __init__(self, method: str, path: str, body: object, key: str | None, agent: str) -> None:
        if not path.isascii() or not path.isprintable() or " " in path:
            raise ValueError(f"not a path that can be sent: {path!r}; quote its parts first")
        self.path = path
        if body is None:
            body = _NOTHING
        elif not isinstance(body, Content):
            body = Content(body=_encoder.encode(body), kind=JSON, accepts=JSON)
        self._before = f"{method} {path} HTTP/1.1\r\nAccept: {body.accepts}\r\nUser-Agent: lab ({agent})\r\n"
        after = "" if key is None else f"Idempotency-Key: {key}\r\n"
        self._content = content = body.body
        if content:
            after += f"Content-Type: {body.kind}\r\nContent-Length: {len(content)}\r\n"
        elif method != "GET":
            after += "Content-Length: 0\r\n"
        for name, value in body.headers.items():
            after += f"{name}: {value}\r\n"
        self._after = after

    def to(self, target: Target, *, cookies: str) -> bytes:
        """The whole request; `cookies` is the Cookie header's value."""
        cookie = f"Cookie: {cookies}\r\n" if cookies else ""
        head = f"{self._before}Host: {target.host}:{target.port}\r\n{cookie}{self._after}\r\n"
        return head.encode("latin-1") + self._content
