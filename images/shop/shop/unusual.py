"""Builds that do what is promised in an unusual way: what nobody may hold against an app; see `shop.spoilt`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from shop.edge import App, Message, Receive, Send
from shop.spoilt_answers import TEXT, Around, Headers, Said, is_json

PADDING = 20_000
BIT = 7


class LosesAnswers(Around):
    """Does what it is asked, and now and then answers that with 500: whoever asks again is told what was done."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        return (500, TEXT, b"lost") if self.turn % 50 == 0 else (status, headers, body)


class Drips(Around):
    """Sends its answers bit by bit."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def bit_by_bit(message: Message) -> None:
            body = bytes(message.get("body", b""))
            for begin in range(0, len(body) - BIT, BIT):
                await send({**message, "body": body[begin : begin + BIT], "more_body": True})
                await asyncio.sleep(0)
            rest = body[(len(body) - 1) // BIT * BIT :] if body else b""
            await send(message if message["type"] != "http.response.body" else {**message, "body": rest})

        await super().__call__(scope, receive, bit_by_bit)


class RenewsCookies(Around):
    """Sends a browser its session's cookie again with what it asks for."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        cookies = dict(scope.get("headers", ())).get(b"cookie", b"")
        own = next((one.strip() for one in cookies.split(b";") if one.strip().startswith(b"__Host-sid=")), b"")

        async def renewed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                if own and message["status"] == 200 and all(name != b"set-cookie" for name, _ in headers):
                    headers.append((b"set-cookie", own + b"; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=1800"))
                message = {**message, "headers": headers}
            await send(message)

        await super().__call__(scope, receive, renewed)


class Chunked(Around):
    """Sends its answers in chunks, without their length."""

    has_length = False


class Closes(Around):
    """Closes every connection after its answer."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        return status, [*headers, (b"connection", b"close")], body


class Pretty(Around):
    """Writes JSON for people."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        return status, headers, json.dumps(json.loads(body), indent=4).encode() if is_json(headers) else body


class Sorted(Around):
    """Writes the fields of JSON in another order."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        return status, headers, json.dumps(json.loads(body), sort_keys=True).encode() if is_json(headers) else body


class MoreFields(Around):
    """Tells more than is promised."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        if is_json(headers):
            said: dict[str, Any] = json.loads(body)
            body = json.dumps({"served": {"turn": self.turn, "tags": ["a", None, 1.5]}, **said}).encode()
        return status, headers, body


class Escaped(Around):
    """Writes whatever is not ASCII as escapes, and blanks around it all."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        return status, headers, b" \n" + json.dumps(json.loads(body)).encode() + b"\n " if is_json(headers) else body


class Created(Around):
    """Answers 201 where something was made."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:
        return 201 if status == 200 and path.endswith("/view") else status, headers, body


class ManyHeaders(Around):
    """Tells a lot in its headers."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        return status, [*headers, *((f"x-more-{n}".encode(), b"y" * 40) for n in range(30))], body


class ManyCookies(Around):
    """Sets cookies of its own with every answer."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        return status, [*headers, (b"set-cookie", f"seen={self.turn}; Path=/; SameSite=Lax".encode())], body


class LargePages(Around):
    """Its pages are long."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        return status, headers, body if is_json(headers) else body + b"<!--" + b" " * PADDING + b"-->"


class SaysLater(Around):
    """Now and then has too much to do, and says that it did nothing."""

    def instead(self, method: str, path: str) -> Said | None:  # noqa: ARG002
        return None if self.turn % 40 else (503, [*TEXT, (b"x-not-applied", b"1"), (b"retry-after", b"1")], b"busy")


class Uneven(Around):
    """Takes now more time, now less."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await asyncio.sleep(self.turn * 37 % 80 / 1000)
        await super().__call__(scope, receive, send)


UNUSUAL: dict[str, Callable[[App], App]] = {
    "chunked": Chunked,
    "closes": Closes,
    "pretty": Pretty,
    "sorted": Sorted,
    "more_fields": MoreFields,
    "escaped": Escaped,
    "created": Created,
    "many_headers": ManyHeaders,
    "many_cookies": ManyCookies,
    "large_pages": LargePages,
    "says_later": SaysLater,
    "uneven": Uneven,
    "loses_answers": LosesAnswers,
    "drips": Drips,
    "renews_cookies": RenewsCookies,
}
