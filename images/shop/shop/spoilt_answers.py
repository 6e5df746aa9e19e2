"""Builds that answer wrongly, each by one mistake; see `shop.spoilt`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

from shop.edge import App, Message, Receive, Send

MUTE_ZONE = "c"
CRASHES_AFTER = 300
EATS_BYTES = 1 << 20
ALLOWED_A_SECOND = 20


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


def is_json(headers: list[tuple[bytes, bytes]]) -> bool:
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
        if path.startswith("/items/") and is_json(headers):
            said = json.loads(body)
            if "item" in said:
                said["item"]["price"] += 1
            body = json.dumps(said).encode()
        return status, headers, body


class TellsOfOthers(Around):
    """An answer holds a field that nobody asked for: who was there before."""

    before = ""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        if is_json(headers) and status == 200:
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
        if path == "/cart" and not is_json(headers):
            body = body.replace(b'<li class="line"', b"<li")
        return status, headers, body


class Swaps(Around):
    """Now and then a cart is that of whoever looked before."""

    before = b""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:
        if path == "/cart" and is_json(headers) and b'"lines"' in body:
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


class SomeRedirects(Around):
    """Names are said to be set elsewhere, and nothing is done."""

    def instead(self, method: str, path: str) -> Said | None:
        return (303, [(b"location", b"/account")], b"") if (method, path) == ("POST", "/account/name") else None


class ErrorBodies(Around):
    """Now and then something went wrong, and is said with 200."""

    def instead(self, method: str, path: str) -> Said | None:  # noqa: ARG002
        return None if self.turn % 30 else (200, [(b"content-type", b"application/json")], b'{"error":"try later"}')


class TooMany(Around):
    """Takes so many requests a second from one address, and all come from the balancer's."""

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._second, self._count = 0, 0

    def instead(self, method: str, path: str) -> Said | None:  # noqa: ARG002
        second = int(time.monotonic())
        self._count = self._count + 1 if second == self._second else 1
        self._second = second
        return (429, TEXT, b"too many requests") if self._count > ALLOWED_A_SECOND else None


class OtherCookie(Around):
    """Sets the session's cookie under another name than the one it looks for."""

    def changed(self, path: str, status: int, headers: Headers, body: bytes) -> Said:  # noqa: ARG002
        return status, [(n, v.replace(b"__Host-sid", b"sid") if n == b"set-cookie" else v) for n, v in headers], body


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
    "some_redirects": SomeRedirects,
    "error_bodies": ErrorBodies,
    "too_many": TooMany,
    "other_cookie": OtherCookie,
}
