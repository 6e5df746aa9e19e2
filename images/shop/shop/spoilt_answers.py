"""Builds that answer wrongly, each by one mistake, and some that answer unusually and are right; see `shop.spoilt`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

from shop.edge import App, Message, Receive, Send

MUTE_ZONE = "c"
CRASHES_AFTER = 120
EATS_BYTES = 1 << 21
PADDING = 20_000


class Around:
    """Answers itself what `instead` says, and lets `changed` see every whole answer of the shop; probes pass."""

    def __init__(self, app: App) -> None:
        self._app, self.turn = app, 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        path = str(scope["path"])
        if path.endswith(("readyz", "healthz")):
            await self._app(scope, receive, send)
            return
        self.turn += 1
        said = self.instead(str(scope["method"]), path)
        if said is not None:
            await answer(send, *said)
            return
        start: Message = {}
        body = bytearray()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                body.extend(message.get("body", b""))

        await self._app(scope, receive, keep)
        headers = [(name, value) for name, value in start.get("headers", []) if name != b"content-length"]
        status, headers, changed = self.changed(path, int(start["status"]), headers, bytes(body))
        await answer(send, status, headers, changed, has_length=self.has_length)

    has_length = True

    def instead(self, method: str, path: str) -> tuple[int, list[tuple[bytes, bytes]], bytes] | None:  # noqa: ARG002
        return None

    def changed(
        self,
        path: str,  # noqa: ARG002
        status: int,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        return status, headers, body


async def answer(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes, *, has_length: bool = True
) -> None:
    """One whole answer; without its length it is sent in two chunks."""
    length = [(b"content-length", str(len(body)).encode())] if has_length else []
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    half = 0 if has_length else len(body) // 2
    if half:
        await send({"type": "http.response.body", "body": body[:half], "more_body": True})
    await send({"type": "http.response.body", "body": body[half:]})


def _is_json(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-type" and b"json" in value for name, value in headers)


Said = tuple[int, list[tuple[bytes, bytes]], bytes]
Headers = list[tuple[bytes, bytes]]
TEXT = [(b"content-type", b"text/plain")]


class Redirects(Around):
    """Whoever changes something is sent home, and nothing is done."""

    def instead(self, method: str, path: str) -> Said | None:
        return (303, [(b"location", b"/")], b"") if method == "POST" and path not in {"/login", "/logout"} else None


class RefusesAdds(Around):
    """Every cart is said to be full."""

    def instead(self, method: str, path: str) -> Said | None:
        return (409, TEXT, b"full") if (method, path) == ("POST", "/cart") else None


class Turnstile(Around):
    """A login is refused as one too many, whoever it is."""

    def instead(self, method: str, path: str) -> Said | None:
        return (429, TEXT, b"later") if (method, path) == ("POST", "/login") and self.turn % 2 else None


class SendsAway(Around):
    """Now and then somebody who is logged in is sent to the login page."""

    def instead(self, method: str, path: str) -> Said | None:
        return (
            (303, [(b"location", b"/login")], b"")
            if method == "GET" and path == "/cart" and not self.turn % 9
            else None
        )


class Halves(Around):
    """Now and then half of an answer is missing, and its length says that it is whole."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        return status, headers, body[: len(body) // 2] if self.turn % 40 == 0 else body


class MuteZone(Around):
    """In one zone it says that it is ready, and has no time for anybody."""

    def instead(self, method: str, path: str) -> Said | None:  # noqa: ARG002
        return (503, [*TEXT, (b"x-not-applied", b"1")], b"busy") if os.environ.get("LAB_ZONE") == MUTE_ZONE else None


class OtherPrices(Around):
    """Something is sold for another price than before."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:
        if path.startswith("/items/") and _is_json(headers):
            said = json.loads(body)
            if "item" in said:
                said["item"]["price"] += 1
            body = json.dumps(said).encode()
        return status, headers, body


class TellsOfOthers(Around):
    """An answer holds a field that nobody asked for: who was there before."""

    before = ""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        if _is_json(headers) and status == 200:
            said = json.loads(body)
            account = said.get("account")
            if account and self.before and account != self.before and self.turn % 20 == 0:
                said["suggested"] = {"from": self.before}
                body = json.dumps(said).encode()
            self.before = account or self.before
        return status, headers, body


class PageOfOthers(Around):
    """A page greets the user who was there before."""

    before = b""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        mark = b"logged in as <b>"
        if mark in body:
            account = body.partition(mark)[2].partition(b"<")[0]
            if self.before and account != self.before:
                body = body.replace(b"<main>", b"<main><p>" + self.before + b" looked at this, too.</p>", 1)
            self.before = account
        return status, headers, body


class EmptyPages(Around):
    """Carts are empty, for browsers alone."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:
        if path == "/cart" and not _is_json(headers):
            body = body.replace(b'<li class="line"', b"<li")
        return status, headers, body


class Swaps(Around):
    """Now and then a cart is that of whoever looked before."""

    before = b""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:
        if path == "/cart" and _is_json(headers) and b'"lines"' in body:
            before, self.before = self.before, body
            body = before if before and self.turn % 25 == 0 else body
        return status, headers, body


class Crashes(Around):
    """Ends with an error after so many requests."""

    def instead(self, method: str, path: str) -> Said | None:  # noqa: ARG002
        if self.turn > CRASHES_AFTER:
            os._exit(3)
        return None


class Eats(Around):
    """Keeps something of every request for ever."""

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._kept: list[bytearray] = []

    def instead(self, method: str, path: str) -> Said | None:  # noqa: ARG002
        self._kept.append(bytearray(b"x" * EATS_BYTES))
        return None


# ---------------------------------------------------------------- unusual, and right


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
        return status, headers, json.dumps(json.loads(body), indent=4).encode() if _is_json(headers) else body


class Sorted(Around):
    """Writes the fields of JSON in another order."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        return status, headers, json.dumps(json.loads(body), sort_keys=True).encode() if _is_json(headers) else body


class MoreFields(Around):
    """Tells more than is promised."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        if _is_json(headers):
            said: dict[str, Any] = json.loads(body)
            body = json.dumps({"served": {"turn": self.turn, "tags": ["a", None, 1.5]}, **said}).encode()
        return status, headers, body


class Escaped(Around):
    """Writes whatever is not ASCII as escapes, and blanks around it all."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        return status, headers, b" \n" + json.dumps(json.loads(body)).encode() + b"\n " if _is_json(headers) else body


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
        return status, headers, body if _is_json(headers) else body + b"<!--" + b" " * PADDING + b"-->"


class SaysLater(Around):
    """Now and then has too much to do, and says that it did nothing."""

    def instead(self, method: str, path: str) -> Said | None:  # noqa: ARG002
        return None if self.turn % 40 else (503, [*TEXT, (b"x-not-applied", b"1"), (b"retry-after", b"1")], b"busy")


class Uneven(Around):
    """Takes now more time, now less."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await asyncio.sleep(self.turn * 37 % 80 / 1000)
        await super().__call__(scope, receive, send)


AROUND: dict[str, Callable[[App], App]] = {
    "redirects": Redirects,
    "refuses_adds": RefusesAdds,
    "turnstile": Turnstile,
    "sends_away": SendsAway,
    "halves": Halves,
    "mute_zone": MuteZone,
    "other_prices": OtherPrices,
    "tells_of_others": TellsOfOthers,
    "page_of_others": PageOfOthers,
    "empty_pages": EmptyPages,
    "swaps": Swaps,
    "crashes": Crashes,
    "eats": Eats,
}
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
}
