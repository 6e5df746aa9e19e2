"""Whole runs of somebody's own app on the backend in this process: what its sessions are kept in decides."""

from __future__ import annotations

import itertools
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
            notes.append(form["note"])
            return 303, "/notes", b""
        return 200, "", msgspec.json.encode({"notes": notes})


NOTES: dict[str, list[str]] = {}
SHARED: dict[str, dict[str, str]] = {}
APPS = {
    "site:v1": MakeApp(make=lambda _, __: Site(SHARED, NOTES)),
    "site:v1-files": MakeApp(make=lambda _, __: Site({}, NOTES)),
}
"""Sessions that all replicas share, and sessions in files of each."""
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
    state: {{get: /notes, path: "notes.*"}}
promises: {{serving_at_least: 1}}
steps: [{{settle: {{for: 0.5}}}}]
enough: {{operations: 20, checks: 5}}
time_limit: 60
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    monkeypatch.setattr("lab.run.at_work.LOG_IN_WITHIN", 4.0)
    NOTES.clear()
    SHARED.clear()

    def start(image: str, users: int = 6, types: str = "the right one") -> Ended:
        return InProcessLab(tmp_path, APPS).run(SCENARIO.format(image=image, users=users, password=types))

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
    assert "sessions live in the instance" in judged.likely
    assert judged.likely.startswith("login form by ") or users > 1, "several may all get in by chance"
    logins = [one for one in ReadRecord(ended.folder).history() if one.kind is Kind.LOGIN]
    assert {one.outcome for one in logins} == {Outcome.OK, Outcome.REFUSED}


def test_a_login_that_nobody_takes_says_nothing_of_sessions(run: Callable[..., Ended]) -> None:
    """A wrong password is the journey's mistake: exit 4, with what was answered."""
    ended = run("site:v1", 3, "wrong")
    assert ended.code == ExitCode.COULD_NOT_TELL, ended.lines
    assert any("POST /login -> 200" in line for line in ended.lines)
