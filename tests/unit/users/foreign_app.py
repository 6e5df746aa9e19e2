"""An app that is not the lab's, small and in this process, and users of it."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from lab.clock import SYSTEM_CLOCK
from lab.model import Kind, Operation
from lab.oracle import check
from lab.users import Door, Tries
from lab.users.account_model import AccountModel
from lab.users.device import Device, User
from lab.users.driven import Driven
from lab.users.loading import MakeUser
from lab.users.own import Http, UserJourney
from lab.users.steps import HttpJourney, StepsJourney

Server = TypeVar("Server", bound=ThreadingHTTPServer)

LOGIN_FORM = b'<form method=post><input type="hidden" name="token" value="t&amp;1"><input type=password name=pw></form>'


@contextmanager
def served(server: Server) -> Iterator[Server]:
    """It answers, in a thread of its own, while the block runs."""
    with server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class App(ThreadingHTTPServer):
    """A foreign app: a login form with a token, redirects, and notes that it keeps by session."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.notes: list[str] = []
        self.sessions: set[str] = set()
        self.next = ""
        """What to do with the next note: "lose", "keep silent" (applied, not answered), "ignore" (neither), or
        "end" (all sessions, once it is applied)."""
        self.shows: tuple[int, bytes] | None = None
        """What it answers instead of the notes."""
        self.answers_a_note = (303, "/notes")
        """With which status and Location."""
        self.posts = 0
        self.keys: list[str | None] = []
        self.gets: list[str] = []
        self.replicas: Callable[[str], str] = lambda method: "b1-2" if method == "GET" else "a1-1"
        """Who answers; usually one reads and another one writes."""
        self.at_logout: Callable[[], bool] = self.end_sessions
        """What a logout does; False: it is not answered."""
        self.is_open = False
        self.asks_for_users = False
        """Whether its login form asks whose the password is."""
        self.shows_login = False
        """Whether it shows the login page in place of what only users see, and sends nobody there."""
        self.cookie_path = "/"
        """Where its session's cookie is sent."""
        self.home = ""
        """The page that everything leads to, and that is the login page of whoever is not logged in."""
        """Whether it shows its notes to everybody."""

    def end_sessions(self) -> bool:
        """Whether it is answered."""
        self.sessions.clear()
        return True

    @property
    def target(self) -> Door:
        return Door(port=self.server_address[1])


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: App

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what went wrong."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.server.gets.append(self.path)
        if self.server.home and self.path == self.server.home:
            self._say(200, b"welcome" if self._is_in() else LOGIN_FORM)
        elif path in {"/", "/start"}:
            self._say(200, b"")
        elif path in {"/login", "/confirm"}:
            self._say(200, self._login_form())
        elif not self._is_in() and not (self.server.is_open and path == "/notes"):
            self._turn_away(path)
        elif path == "/secret":
            self._say(401, b"")
        elif path == "/notes" and self.server.shows is not None:
            self._say(*self.server.shows)
        elif path == "/notes":
            self._say(200, msgspec.json.encode({"items": [{"note": note} for note in self.server.notes]}))
        else:
            self._say(404, b"")

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if self.path == "/login":
            good = form["user"] == ["u1"] and form["token"] == ["t&1"]
            self.server.sessions |= {"s1"} if good else set()
            self._say(
                303 if good else 403,
                b"",
                Location="/notes",
                **{"Set-Cookie": f"sid=s1; Path={self.server.cookie_path}; Secure"},
            )
        elif self.path == "/logout":
            self.close_connection = not self.server.at_logout()
            if not self.close_connection:
                self._say(303, b"", Location="/login")
        elif not self._is_in():
            self._turn_away("/notes")
        else:
            self._add(form["note"][0])

    def _add(self, note: str) -> None:
        do, self.server.next = self.server.next, ""
        self.server.posts += 1
        self.server.keys.append(self.headers["Idempotency-Key"])
        if do not in {"lose", "ignore"} and note not in self.server.notes:
            self.server.notes.append(note)
        if do in {"keep silent", "ignore"}:
            self.close_connection = True
            return
        if do == "end":
            self.server.sessions.clear()
        status, where = self.server.answers_a_note
        self._say(status, b"", Location=where)

    def _login_form(self) -> bytes:
        whose = b"<input name=user>" if self.server.asks_for_users else b""
        return LOGIN_FORM.replace(b"</form>", whose + b"</form>")

    def _turn_away(self, path: str) -> None:
        if self.server.shows_login:
            self._say(200, self._login_form())
        else:
            self._say(302, b"", Location=self.server.home or f"/login?next={path}")

    def _is_in(self) -> bool:
        return "sid=s1" in (self.headers["Cookie"] or "") and "s1" in self.server.sessions

    def _say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("X-Replica", self.server.replicas(self.command))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Writer(UserJourney):
    once = False

    def begin(self) -> dict[str, Any]:
        return {"notes": []}

    def log_in(self, http: Http) -> None:
        token = http.get("/login").field("token")
        http.post("/login", form={"user": f"u{self.number}", "token": token})

    def act(self, http: Http) -> None:
        note = self.unique()
        http.post("/add", form={"note": note}, once=self.once)
        self.model["notes"].append(note)

    def state(self, http: Http) -> Any:
        return {"notes": [item["note"] for item in http.get("/notes").json()["items"]]}


class Leaver(Writer):
    """Logs out instead of acting, wherever LOGS_OUT has it so."""

    def log_out(self, http: Http) -> None:
        http.post("/logout", form={"": ""})


class Repeating(Writer):
    once = True


class Witness:
    def __init__(self, told: list[Operation]) -> None:
        self.told = told

    def ended(self, operation: Operation) -> None:
        self.told.append(operation)


Play = Callable[[Driven], Any]


def live(app: App, make: MakeUser, *turns: Callable[[], None], told: list[Operation] | None = None) -> list[Operation]:
    """Log in, then one action after each turn's preparation; all that was told of it, in `told` too."""

    async def play() -> None:
        device = Device(
            User("user-001", "pw"),
            1,
            targets=[app.target],
            seed="1",
            ids=itertools.count(),
            witness=witness,
            policy=Tries(first=0.001, timeout=5),
            clock=SYSTEM_CLOCK,
        )
        origin = f"http://127.0.0.1:{app.target.port}"
        mine = make("user-001", 1, "pw", random.Random(1))
        driven = Driven(device, mine, AccountModel(mine.model), origin)
        try:
            await driven.log_in()
            for prepare in turns:
                prepare()
                if not device.is_logged_in:
                    await driven.log_in()
                await driven.act()
        finally:
            await device.close()

    witness = Witness([] if told is None else told)
    asyncio.run(play())
    return witness.told


def nothing() -> None:
    """The app is as it should be."""


def states(told: list[Operation]) -> list[Operation]:
    return [one for one in told if one.kind is Kind.STATE]


def broken(told: list[Operation]) -> set[str]:
    return {finding.promise for finding in check(told).findings}


STEPS = """
log_in:
  - {get: /login, keep: {token: {field: token}}}
  - {post: /login, form: {user: "u{n}", token: "{token}"}, expect: 303}
act:
  - {post: /add, form: {note: "{new} {any: tea|cup}"}, expect: 303, adds: "{new} {any: tea|cup}"}
state: {get: /notes, path: "items.*.note"}
"""


def told_steps(text: str = STEPS) -> HttpJourney:
    return msgspec.yaml.decode(text, type=HttpJourney)


def steps(told: HttpJourney) -> MakeUser:
    def make(name: str, number: int, password: str, chance: random.Random) -> UserJourney:
        return StepsJourney(told, name, number, password, chance)

    return make
