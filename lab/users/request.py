"""The bytes of one request."""

from __future__ import annotations

import msgspec

from lab.users.wire import Target

JSON = "application/json"


class Request:
    """A request's bytes, all but the cookies, which may change between two tries."""

    __slots__ = ("_after", "_before", "path")

    def __init__(self, target: Target, method: str, path: str, body: object, key: str | None, agent: str) -> None:
        if not path.isascii() or not path.isprintable() or " " in path:
            raise ValueError(f"not a path that can be sent: {path!r}; quote its parts first")
        self.path = path
        lines = f"Accept: {JSON}\r\nUser-Agent: lab ({agent})\r\n"
        self._before = f"{method} {path} HTTP/1.1\r\nHost: {target.host}:{target.port}\r\n{lines}".encode()
        idempotency = f"Idempotency-Key: {key}\r\n" if key is not None else ""
        content = b"" if body is None else msgspec.json.encode(body)
        kind = f"Content-Type: {JSON}\r\n" if content else ""
        length = f"Content-Length: {len(content)}\r\n" if content or method != "GET" else ""
        self._after = f"{idempotency}{kind}{length}\r\n".encode() + content

    def with_cookies(self, line: str) -> bytes:
        cookies = f"Cookie: {line}\r\n".encode("latin-1") if line else b""
        return self._before + cookies + self._after
