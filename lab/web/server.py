"""Serves one page, its events and, where asked for, a few acts; to this machine's own browsers and nobody else."""

from __future__ import annotations

import hmac
import re
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import parse_qsl

import msgspec

from lab.errors import LabError, SetupError, UsageError
from lab.report.html import LivePage
from lab.web.feed import Feed

LOOPBACK = "127.0.0.1"
HEARTBEAT = 5.0
"""Seconds after which a silent stream says that it lives: a browser that went away is noticed."""
LARGEST_BODY = 4096
MOST_STREAMS = 32
PATIENCE = 15.0
"""Seconds that a browser may take to send its request."""

_ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_ONCE = ("Host", "Origin", "X-Lab-Token", "Content-Length", "Transfer-Encoding", "Last-Event-ID")
_NUMBER = re.compile("[0-9]{1,15}")
_BODY: msgspec.json.Decoder[dict[str, str]] = msgspec.json.Decoder(dict[str, str])


class Controls(Protocol):
    """What a page may do to the run. `do` is called from threads of the server."""

    def do(self, act: str, what: Mapping[str, str]) -> str:
        """Do it and say what was done. Raises UsageError where it can't be done now or is not known."""
        ...


class PageServer:
    """A server on 127.0.0.1, at a free port if none is given. Raises SetupError where the port is taken.

    `requests` answers, as JSON, what a page asks of single requests; it is called from threads of the server.
    A request is answered only if its Host is this address; an act only if it also has the token, in a header that
    no other site's page can set, and comes from this origin.
    """

    def __init__(
        self,
        page: LivePage,
        feed: Feed,
        *,
        controls: Controls | None = None,
        requests: Callable[[Mapping[str, str]], bytes] | None = None,
        token: str = "",
        port: int | None = None,
    ) -> None:
        self.feed, self.page, self.controls, self.token = feed, page, controls, token
        self.requests = requests
        self.closing = threading.Event()
        self._streams, self._fewer = 0, threading.Condition()
        try:
            self._http = _Server((LOOPBACK, port or 0), partial(_Handler, self))
        except OSError as exc:
            hint = "leave the port out, and a free one is taken"
            raise SetupError(f"can't serve the page: {exc.strerror}", at=f"port {port}", hint=hint) from exc
        self.port = int(self._http.server_address[1])
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.1,), name="page server", daemon=True)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """The names under which this server is asked."""
        return frozenset({f"{LOOPBACK}:{self.port}", f"localhost:{self.port}"})

    def join_streams(self) -> bool:
        """One more stream; False where there are too many."""
        with self._fewer:
            if self._streams == MOST_STREAMS:
                return False
            self._streams += 1
            return True

    def leave_streams(self) -> None:
        """One stream less."""
        with self._fewer:
            self._streams -= 1
            self._fewer.notify_all()

    def wait_sent(self, seconds: float) -> bool:
        """Once the feed is over: wait until every page that looks has got all of it; False where one took longer."""
        with self._fewer:
            return self._fewer.wait_for(lambda: not self._streams, timeout=seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def _number(text: str) -> int | None:
    """The whole number that a header holds; None for whatever else somebody may have put there."""
    return int(text) if _NUMBER.fullmatch(text) else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of a request is nothing that the run's terminal should tell of."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lab", ""
    timeout = PATIENCE

    def __init__(self, page_server: PageServer, *given: object) -> None:
        self._of = page_server
        super().__init__(*given)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """The terminal belongs to the run."""

    def do_GET(self) -> None:
        if not self._is_for_us():
            return
        path = self.path.partition("?")[0]
        if path == "/":
            self._answer(
                HTTPStatus.OK,
                self._of.page.html.encode(),
                "text/html; charset=utf-8",
                {"Content-Security-Policy": self._of.page.policy},
            )
        elif path == "/events":
            self._stream()
        elif path == "/requests" and self._of.requests is not None:
            self._find(self._of.requests)
        else:
            self._say(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _find(self, requests: Callable[[Mapping[str, str]], bytes]) -> None:
        try:
            body = requests(dict(parse_qsl(self.path.partition("?")[2])))
            self._answer(HTTPStatus.OK, body, "application/json", {})
        except UsageError as exc:
            self._say(HTTPStatus.BAD_REQUEST, exc.what)
        except LabError as exc:
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, exc.what)

    def do_POST(self) -> None:
        self.close_connection = True  # a body that was not read must not be taken for the next request
        if not self._is_for_us():
            return
        controls, token = self._of.controls, self.headers.get("X-Lab-Token", "")
        act = self.path.removeprefix("/control/")
        if controls is None or act == self.path:
            self._say(HTTPStatus.NOT_FOUND, "this page only looks")
        elif self.headers.get("Origin", "") not in {f"http://{host}" for host in self._of.hosts}:
            self._say(HTTPStatus.FORBIDDEN, "this was sent from another site")
        elif not self._of.token or not hmac.compare_digest(token.encode(), self._of.token.encode()):
            self._say(HTTPStatus.FORBIDDEN, "this was not sent by the page")
        else:
            self._act(controls, act)

    def _act(self, controls: Controls, act: str) -> None:
        length = _number(self.headers.get("Content-Length", ""))
        if length is None or length > LARGEST_BODY:
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body of at most {LARGEST_BODY} bytes is wanted")
            return
        try:
            self._say(HTTPStatus.OK, controls.do(act, _BODY.decode(self.rfile.read(length))))
        except msgspec.DecodeError as exc:
            self._say(HTTPStatus.BAD_REQUEST, f"not understood: {exc}")
        except UsageError as exc:
            self._say(HTTPStatus.CONFLICT, exc.what)
        except LabError as exc:
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, exc.what)

    def _is_for_us(self) -> bool:
        """A name that somebody else made to mean this machine is refused: its pages must not read this one.

        So is whatever says twice what is decided by: another reader might take the other word.
        """
        is_twice = any(len(self.headers.get_all(name, ())) > 1 for name in _ONCE)
        if not is_twice and self.headers.get("Host", "") in self._of.hosts:
            return True
        self._say(HTTPStatus.BAD_REQUEST, f"ask for {self._of.url}")
        return False

    def _stream(self) -> None:
        last = _number(self.headers.get("Last-Event-ID", ""))
        number = 0 if last is None else last + 1
        if not self._of.join_streams():
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, "too many pages are open")
            return
        self.close_connection = True
        try:
            self.send_response(HTTPStatus.OK)
            self._headers({"Content-Type": "text/event-stream", "Connection": "close"})
            self._send_events(number)
        except OSError:
            pass  # the browser went away; it comes back with the number of the last event that it has
        finally:
            self._of.leave_streams()

    def _send_events(self, number: int) -> None:
        self.wfile.write(b"retry: 500\n\n")
        while True:
            lines, is_over = self._of.feed.after(number, wait=HEARTBEAT)
            data = b"".join(b"id: %d\ndata: %b\n\n" % (number + place, line) for place, line in enumerate(lines))
            number += len(lines)
            self.wfile.write(data or b": still here\n\n")
            if is_over:
                self.wfile.write(b"event: end\ndata: {}\n\n")
                return
            if self._of.closing.is_set():
                return

    def _say(self, status: HTTPStatus, text: str) -> None:
        self._answer(status, msgspec.json.encode({"said": text}), "application/json", {})

    def _answer(self, status: HTTPStatus, body: bytes, kind: str, more: Mapping[str, str]) -> None:
        self.send_response(status)
        self._headers({"Content-Type": kind, "Content-Length": str(len(body)), **more})
        self.wfile.write(body)

    def _headers(self, more: Mapping[str, str]) -> None:
        for name, value in {**_ALWAYS, **more}.items():
            self.send_header(name, value)
        self.end_headers()
