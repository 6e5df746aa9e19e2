"""`lab class`: where seats say how far they are, and the page on which their trainer sees all of them.

Seats come with the code that is in the address they are given; the page is for this machine's own browsers alone,
whatever address the class listens on.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import msgspec

from lab.errors import ExitCode, SetupError, UsageError
from lab.lessons.seats import SeatPlan, SeatWord
from lab.model import Value
from lab.report.html import page_policy, render_page

Say = Callable[[str], None]
LOOPBACK = "127.0.0.1"
LARGEST_WORD = 4096
"""Bytes of what a seat says."""
PATIENCE = 10.0
"""Seconds that somebody may take to send a request."""
_STYLES, _SCRIPTS = ("page.css",), ("theme.js", "class.js")
_WORD: msgspec.json.Decoder[SeatWord] = msgspec.json.Decoder(SeatWord)
_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


class ClassSpec(Value):
    """Where a class is to be found."""

    bind: str = LOOPBACK
    """The address on which seats may come; this machine's own people alone if not given."""
    port: int | None = None
    page_port: int | None = None
    """Where the trainer's page is, on 127.0.0.1 in any case."""


class ClassAddresses(Value):
    """Where it is."""

    page: str
    seats: str
    """With the code that seats come with."""


def check_bind(bind: str) -> None:
    """Raise UsageError for what is no single address of this machine: a class is never open to all networks at once."""
    try:
        address = ipaddress.ip_address(bind)
    except ValueError:
        address = None
    if address is None or address.is_unspecified or address.is_multicast:
        raise UsageError("is not one address of this machine", at=f"--bind {bind}", hint="ip -4 addr   # the room's")


def hold_class(spec: ClassSpec, *, say: Say) -> int:
    """Serve both until Ctrl-C."""
    with open_class(spec, SeatPlan()) as found:
        say(f"class\n  your page  {found.page}")
        say(f"  seats      lab lesson join {found.seats} --as NAME")
        if spec.bind == LOOPBACK:
            say("  only this machine's people can join; for the room: lab class --bind ADDRESS (ip -4 addr)")
        say("  Ctrl-C ends it; nothing is kept")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            say("")
    return ExitCode.HELD


@contextmanager
def open_class(spec: ClassSpec, plan: SeatPlan) -> Iterator[ClassAddresses]:
    """Both servers, while the block lasts. Raises SetupError where a port is taken or the address is not this
    machine's, UsageError for an address that would open it to more than one network."""
    check_bind(spec.bind)
    code = secrets.token_urlsafe(6)
    html = render_page(
        "class.html", csp=page_policy(_STYLES, _SCRIPTS, "connect-src 'self'"), styles=_STYLES, scripts=_SCRIPTS
    )
    with (
        _served(spec.bind, spec.port, partial(_SeatHandler, plan, code)) as seats,
        _served(LOOPBACK, spec.page_port, partial(_PageHandler, plan, html.encode())) as page,
    ):
        yield ClassAddresses(page=page, seats=f"{seats}/{code}")


@contextmanager
def _served(address: str, port: int | None, handler: Any) -> Iterator[str]:
    try:
        server = _Server((address, port or 0), handler)
    except OSError as exc:
        raise SetupError(f"can't listen: {exc.strerror}", at=f"{address}:{port or ''}", hint="ip -4 addr") from exc
    host = f"[{address}]" if ":" in address else address
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="class", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever goes away in the middle of a request is nothing that the terminal should tell of."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lab", ""
    timeout = PATIENCE

    def log_message(self, *_: object) -> None:
        """The terminal belongs to the trainer."""

    def answer(self, status: HTTPStatus, body: bytes, kind: str = "application/json", **more: str) -> None:
        self.send_response(status)
        headers: Mapping[str, str] = {**_ALWAYS, "Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in headers.items():
            self.send_header(name, value)
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def say(self, status: HTTPStatus, text: str) -> None:
        self.answer(status, msgspec.json.encode({"said": text}))


class _SeatHandler(_Handler):
    """Takes words from seats, and shows nothing."""

    def __init__(self, plan: SeatPlan, code: str, *given: Any) -> None:
        self._plan, self._code = plan, code
        super().__init__(*given)

    def do_POST(self) -> None:
        self.close_connection = True
        length = self.headers.get("Content-Length", "")
        if not hmac.compare_digest(self.path.encode(), f"/{self._code}/seat".encode()):
            self.say(HTTPStatus.NOT_FOUND, "there is no such class")
        elif self.headers.get("Origin") is not None:  # a browser's page sends it, a seat never does
            self.say(HTTPStatus.FORBIDDEN, "this was sent by a page")
        elif not (length.isascii() and length.isdecimal()) or int(length) > LARGEST_WORD:
            self.say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {LARGEST_WORD} bytes are wanted")
        else:
            try:
                self._plan.take(_WORD.decode(self.rfile.read(int(length))))
                self.say(HTTPStatus.OK, "noted")
            except msgspec.DecodeError as exc:
                self.say(HTTPStatus.BAD_REQUEST, f"not understood: {exc}")
            except UsageError as exc:
                self.say(HTTPStatus.CONFLICT, exc.what)


class _PageHandler(_Handler):
    """Shows all seats to this machine's browsers."""

    def __init__(self, plan: SeatPlan, html: bytes, *given: Any) -> None:
        self._plan, self._html = plan, html
        super().__init__(*given)

    def do_GET(self) -> None:
        here = cast("_Server", self.server).server_port
        if self.headers.get("Host", "") not in {f"{LOOPBACK}:{here}", f"localhost:{here}"}:
            self.say(HTTPStatus.BAD_REQUEST, f"ask for http://{LOOPBACK}:{here}")
        elif self.path == "/":
            self.answer(HTTPStatus.OK, self._html, "text/html; charset=utf-8", X_Frame_Options="DENY")
        elif self.path == "/seats":
            self.answer(HTTPStatus.OK, self._plan.answer())
        else:
            self.say(HTTPStatus.NOT_FOUND, "there is nothing here")
