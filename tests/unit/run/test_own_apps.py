"""Whole runs of somebody's own app on the backend in this process: what its sessions are kept in decides."""

from __future__ import annotations

import hmac
import itertools
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
import pytest

from lab.errors import ExitCode
from lab.model import Kind, Outcome
from lab.record import ReadRecord
from lab.testing.in_process import AppAnswer, AppRequest, MakeApp
from tests.in_process import Ended, InProcessLab

pytestmark = pytest.mark.slow

NUMBERS = itertools.count(1)


class Site:
    """A PHP-like site: the form's token is in the session, which a cookie names."""

    def __init__(self, sessions: dict[str, dict[str, str]], notes: dict[str, list[str]]) -> None:
        self._sessions, self._notes = sessions, notes

    def answer(self, request: AppRequest) -> AppAnswer:
        path, _, _ = request.path.partition("?")
        if path == "/healthz":
            return AppAnswer(200)
        cookies = dict(one.strip().split("=", 1) for one in request.headers.get("cookie", "").split(";") if "=" in one)
        name = cookies.get("sid") or f"s{next(NUMBERS)}"
        session = self._sessions.setdefault(name, {})
        form = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
        status, where, body = self._say(request.method, path, session, form)
        lines = [f"Set-Cookie: sid={name}; Path=/", *([f"Location: {where}"] if where else [])]
        return AppAnswer(status, tuple(lines), body)

    def _say(self, method: str, path: str, session: dict[str, str], form: dict[str, str]) -> tuple[int, str, bytes]:
        if path == "/login" and method == "GET":
            session["token"] = f"t{next(NUMBERS)}"
            page = f'<form method=post><input type=hidden name=token value="{session["token"]}"><input type=password>'
            return 200, "", page.encode()
        if path == "/login":
            if form.get("token") != session.get("token") or form.get("password") == "wrong":
                return 200, "", b"<form method=post>expired<input type=password name=pw></form>"
            session["user"] = form["user"]
            return 303, "/notes", b""
        user = session.get("user")
        if user is None:
            return 302, "/login", b""
        notes = self._notes.setdefault(user, [])
        if method == "POST":
            notes += [form["note"]] if path == "/notes" else []  # a logout leaves the session as it was
            return 303, "/notes", b""
        return 200, "", msgspec.json.encode({"notes": notes})


class Signing:
    """A site whose cookie is the session itself, signed."""

    def __init__(self, secret: str, notes: dict[str, list[str]]) -> None:
        self._secret, self._notes = secret.encode(), notes

    def answer(self, request: AppRequest) -> AppAnswer:
        cookie = request.headers.get("cookie", "").partition("token=")[2]
        body, _, signature = cookie.partition(".")
        if request.path == "/login" and request.method == "POST":
            user = parse_qs(request.body.decode())["user"][0]
            packed = urlsafe_b64encode(msgspec.json.encode({"user": user})).decode()
            lines = (f"Set-Cookie: token={packed}.{self._sign(packed)}; Path=/", "Location: /notes")
            return AppAnswer(303, lines)
        if request.path in {"/healthz", "/login"}:
            return AppAnswer(200, (), b'<input type=hidden name=token value="none">')
        if signature != self._sign(body):
            return AppAnswer(401)
        notes = self._notes.setdefault(msgspec.json.decode(urlsafe_b64decode(body))["user"], [])
        if request.method == "POST":
            notes.append(parse_qs(request.body.decode())["note"][0])
            return AppAnswer(303, ("Location: /notes",))
        return AppAnswer(200, (), msgspec.json.encode({"notes": notes}))

    def _sign(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), "sha256").hexdigest()


NOTES: dict[str, list[str]] = {}
SHARED: dict[str, dict[str, str]] = {}
APPS = {
    "site:v1": MakeApp(make=lambda _, __: Site(SHARED, NOTES)),
    "site:v1-files": MakeApp(make=lambda _, __: Site({}, NOTES)),
    "site:v1-signs": MakeApp(make=lambda _, __: Signing("shared", NOTES)),
    "site:v1-own-secret": MakeApp(make=lambda _, __: Signing(f"{next(NUMBERS)}", NOTES)),
    "site:v2-signs": MakeApp(make=lambda release, __: Signing(release, NOTES)),
}
"""Sessions that all replicas share, in files of each, and in cookies that are signed: with the secret of all, with one
of each replica, and with one of a release."""
SCENARIO = """
lab: 1
name: own
title: an app of one's own
cluster: {{release: "{image}", zones: {{a: 1, b: 1, c: 1}}}}
users:
  count: {users}
  think: 0.05
  http:
    log_in:
      - {{get: /login, keep: {{token: {{field: token}}}}}}
      - {{post: /login, form: {{user: "u{{n}}", password: "{password}", token: "{{token}}"}}, expect: 303}}
    act:
      - {{post: /notes, form: {{note: "{{new}}"}}, expect: 303, adds: "{{new}}"}}
    state: {{get: /notes, path: "notes.*"}}{more}
promises: {{serving_at_least: 1}}
steps: [{{settle: {{for: 0.5}}}}{roll}]
enough: {{operations: 20, checks: 5}}
time_limit: 60
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    monkeypatch.setattr("lab.run.at_work.LOG_IN_WITHIN", 4.0)
    NOTES.clear()
    SHARED.clear()

    def start(image: str, users: int = 6, types: str = "the right one", to: str = "", more: str = "") -> Ended:
        roll = f", {{roll: {{to: '{to}'}}}}, {{settle: {{for: 0.5}}}}" if to else ""
        text = SCENARIO.format(image=image, users=users, password=types, roll=roll, more=more)
        return InProcessLab(tmp_path, APPS).run(text)

    return start


def test_sessions_that_all_share_hold(run: Callable[..., Ended]) -> None:
    """The same site, and the same requests."""
    ended = run("site:v1")
    assert ended.code == ExitCode.HELD, ended.lines


@pytest.mark.parametrize("users", [1, 6])
def test_a_login_that_two_replicas_answer_never_works_where_sessions_are_in_files(
    run: Callable[..., Ended], users: int
) -> None:
    """Whoever is alone meets another replica with every request, and is found kept out all the same."""
    ended = run("site:v1-files", users)
    assert ended.code == ExitCode.BROKEN, ended.lines
    assert "logged_in" in ended.broken
    judged = ended.judged.judgement
    assert judged.likely.startswith("login form by ") or users > 1, "several may all get in by chance"
    assert (
        "sessions live in the instance" in judged.likely
        or "is taken by the replica alone that made it" in judged.likely
    )
    logins = [one for one in ReadRecord(ended.folder).history() if one.kind is Kind.LOGIN]
    assert {one.outcome for one in logins} == {Outcome.OK, Outcome.REFUSED}


def test_a_login_that_nobody_takes_says_nothing_of_sessions(run: Callable[..., Ended]) -> None:
    """A wrong password is the journey's mistake: exit 4, with what was answered."""
    ended = run("site:v1", 3, "wrong")
    assert ended.code == ExitCode.COULD_NOT_TELL, ended.lines
    assert any("POST /login -> 200" in line for line in ended.lines)


def test_a_secret_that_all_replicas_share_holds(run: Callable[..., Ended]) -> None:
    """Sessions in cookies need no store."""
    ended = run("site:v1-signs")
    assert ended.code == ExitCode.HELD, ended.lines


def test_a_secret_that_each_replica_makes_is_told_from_memory_by_its_cookie(run: Callable[..., Ended]) -> None:
    """The cookie is a signed session, so there is nothing that could be in a memory."""
    ended = run("site:v1-own-secret")
    assert ended.code == ExitCode.BROKEN, ended.lines
    assert ended.broken == {"logged_in"}
    assert ended.judged.judgement.likely == (
        "a session is taken by the replica alone that made it: each replica signs them with a secret of its own (the"
        " cookie token holds a signed session)"
    )
    logins = [one for one in ReadRecord(ended.folder).history() if one.kind is Kind.LOGIN]
    assert {tuple((one.cookies or {}).items()) for one in logins} == {(("token", True),)}, "names, and no values"


def test_a_secret_of_each_release_is_laid_at_the_releases(run: Callable[..., Ended]) -> None:
    """Within one release every replica takes what another one made."""
    ended = run("site:v1-signs", 12, to="site:v2-signs")
    assert ended.code == ExitCode.BROKEN, ended.lines
    assert "logged_in" in ended.broken
    assert ended.judged.judgement.likely.startswith("v2-signs refuses the sessions that v1-signs made"), (
        ended.judged.judgement.likely
    )
    assert "each release signs them with a secret of its own" in ended.judged.judgement.likely


def test_a_logout_that_ends_nothing_is_the_cause_of_what_follows(
    run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of somebody's own app, too, it is told what ends sessions, and what does not."""
    monkeypatch.setattr("lab.users.logouts.LOGS_OUT", 0.3)
    ended = run("site:v1", more="\n    log_out: [{post: /logout, form: {really: 'yes'}}]")
    assert ended.code == ExitCode.BROKEN, ended.lines
    assert ended.broken == {"logged_in"}
    assert ended.judged.judgement.likely == "a logout ends no session: whoever has its cookies stays logged in"
