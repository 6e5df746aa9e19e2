"""One question on this machine's loopback, which a pipeline or a webhook asks: the answer's status says it all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from lab.errors import LabError, SetupError
from lab.web.server import LOOPBACK, PATIENCE

UNAVAILABLE = 503
Ask = Callable[[], tuple[int, bytes]]
"""The status and the JSON that answer now. Raises LabError where nothing can be said."""


class GateServer:
    """Answers every GET and POST on 127.0.0.1 by asking `ask`. Raises SetupError where the port is taken.

    Tools ask by whichever path and method they are made for: Flagger posts, a pipeline's step gets. A request is
    answered only if its Host is this address, so that no page of another site can ask.
    """

    def __init__(self, ask: Ask, port: int | None) -> None:
        self.ask = ask
        try:
            self._http = ThreadingHTTPServer((LOOPBACK, port or 0), partial(_Handler, self))
        except OSError as exc:
            hint = "another --port"
            raise SetupError(f"can't serve the gate: {exc.strerror}", at=f"port {port}", hint=hint) from exc
        self._http.daemon_threads = True
        self.port = int(self._http.server_address[1])
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.1,), name="gate", daemon=True)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "lab", ""
    timeout = PATIENCE

    def __init__(self, gate: GateServer, *given: object) -> None:
        self._gate = gate
        super().__init__(*given)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """The terminal belongs to the gate's own lines."""

    def do_GET(self) -> None:
        port = self._gate.port
        if self.headers.get("Host", "") not in {f"{LOOPBACK}:{port}", f"localhost:{port}"}:
            self._say(400, b'{"why":"ask for the gate by its address"}')
            return
        try:
            status, body = self._gate.ask()
        except LabError:
            self._say(UNAVAILABLE, b'{"why":"the record of the run can not be read"}')
            return
        self._say(status, body)

    def do_POST(self) -> None:
        self.close_connection = True  # its body says nothing that is wanted here
        self.do_GET()

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)
