"""A deployment in this process that its owner's tool replaces, and runs that watch it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from lab.clock import SYSTEM_CLOCK
from lab.operate.runs import ChosenRun, watch_one
from lab.run.judge import JudgedRun
from lab.scenario.read import read_scenario


class Deployment(ThreadingHTTPServer):
    """An app of one process that says which release it is: users log in by a form, and keep notes.

    A request to /deploy puts another release in its place, as its owner's tool would; /deploy/empty one that begins
    without any state. /version says which one is there. After a request to /tired it answers 429
    to whoever wants something changed.
    """

    daemon_threads = True

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), Answers)
        self.lock = threading.Lock()
        self.notes: dict[str, list[str]] = {}
        self.generation = 1
        self.asked: list[int] = []
        """When requests of users and of the lab came, monotonic nanoseconds."""
        self.refuses: dict[str, str] | None = None
        """With these headers it answers 429 to whatever users ask."""
        self.tired_at = 0
        """When it first did."""
        self.agrees = True
        """Whether its owner lets others be watched who are not on this machine."""
        self.redirects_to = ""
        """Where whoever adds something is sent."""
        self.passwords = set[str]()
        """Those that users came with."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Deployment

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what went wrong."""

    def handle(self) -> None:
        with suppress(ConnectionError):  # a user, or a lab that was killed, went away
            super().handle()

    def do_GET(self) -> None:
        app = self.server
        if self.path.startswith("/deploy"):
            with app.lock:
                app.generation += 1
                if self.path.endswith("/empty"):
                    app.notes.clear()
            self._say(200, b"")
            return
        if self.path.startswith("/tired"):
            app.refuses = {"Retry-After": self.path.removeprefix("/tired").removeprefix("/") or "2"}
            self._say(200, b"")
            return
        app.asked.append(SYSTEM_CLOCK.now())
        url = urlsplit(self.path)
        if self.path == "/":
            self._say(200, b"", **{"X-Token": self.headers.get("X-Token", "")})
        elif url.path == "/.well-known/cluster-lab":
            self._say(200 if app.agrees else 404, url.query.removeprefix("token=").encode())
        elif self.path == "/version":
            self._say(200, msgspec.json.encode({"app": {"release": f"v{app.generation}"}}))
        elif self._user not in app.notes:
            self._say(401, b"")
        else:
            told = {"items": app.notes[self._user], "by": {"release": f"v{app.generation}"}}
            self._say(200, msgspec.json.encode(told))

    def do_POST(self) -> None:
        app = self.server
        app.asked.append(SYSTEM_CLOCK.now())
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if app.refuses is not None:
            app.tired_at = app.tired_at or SYSTEM_CLOCK.now()
            self._say(429, b"", **app.refuses)
            return
        if self.path == "/login":
            app.notes.setdefault(form["user"][0], [])
            app.passwords.update(form.get("password", ()))
            self._say(204, b"", **{"Set-Cookie": f"user={form['user'][0]}; Path=/"})
            return
        with app.lock:
            notes = app.notes.get(self._user)
            if notes is not None and form["note"][0] not in notes:
                notes.append(form["note"][0])
        if app.redirects_to:
            self._say(302, b"", Location=app.redirects_to)
            return
        body = msgspec.json.encode({"by": {"release": f"v{app.generation}"}})
        self._say(401 if notes is None else 200, body)

    @property
    def _user(self) -> str:
        return (self.headers["Cookie"] or "").removeprefix("user=")

    def _say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("X-Version", f"v{self.server.generation}")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def deployment(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Deployment]:
    with Deployment(host) as app:
        if tls is not None:
            app.socket = tls.wrap_socket(app.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=app.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield app
        app.shutdown()
        thread.join()


WATCHED = """
lab: 1
name: watched
title: a deployment of our own
target: {urls: ["URL"], release: {header: X-Version, get: /version, json: app.release}}
users:
  count: 6
  think: 0.05
  http:
    log_in: [{post: /login, form: {user: "u{n}"}}]
    act: [{post: /add, form: {note: "{new}"}, once: true, adds: "{new}"}]
    state: {get: /notes, path: "items.*"}
steps: [{settle: {for: 0.4}}, {command: {run: DEPLOY}}, {settle: {for: 0.4}}]
enough: {operations: 20, checks: 6, users_served_by_new: 6}
time_limit: 60
"""
DEPLOY = """[python3, -c, "import urllib.request as u; u.urlopen('URL/deploy')"]"""
AUTOSCALE = "autoscale: {target: 5, least: 1, most: 2}"
DEPLOY_EMPTY = DEPLOY.replace("/deploy", "/deploy/empty")


@dataclass
class Watched:
    """A run that is over."""

    judged: JudgedRun
    folder: Path
    lines: list[str] = field(default_factory=list)

    @property
    def code(self) -> int:
        return self.judged.judgement.exit_code

    @property
    def broken(self) -> set[str]:
        return {one.promise for one in self.judged.judgement.promises if one.broken}


def written(folder: Path, text: str) -> Path:
    path = folder / "watched.yaml"
    path.write_text(text)
    return path


def watch(
    app: Deployment,
    folder: Path,
    text: str = WATCHED,
    deploy: str = DEPLOY,
    halted: Callable[[], str] = lambda: "",
) -> Watched:
    path = written(folder, text.replace("DEPLOY", deploy).replace("URL", app.url))
    said: list[str] = []
    judged, run = watch_one(
        ChosenRun(scenario=read_scenario(path), seed=1), folder / "runs", say=said.append, halted=halted
    )
    return Watched(judged, run, said)
