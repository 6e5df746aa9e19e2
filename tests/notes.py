"""An app of somebody's own on the backend in this process: a login form, redirects, and notes by account."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import msgspec

from lab.testing.in_process import AppAnswer, AppRequest, MakeApp

LOGIN_FORM = b"<title>Log in</title><form method=post><input name=user><input type=password name=password></form>"

NOTES_SCENARIO = """
lab: 1
name: notes
title: an app of my own
cluster: {release: "notes:v1", zones: {a: 1, b: 1, c: 1}}
users:
  count: 6
  think: 0.05
  http:
    log_in:
      - {post: /login, form: {user: "{name}", password: "{password}"}}
    act:
      - {post: /notes, form: {note: "{new}"}, expect: 303, adds: "{new}"}
    state: {get: /notes.json, path: notes}
promises: {serving_at_least: 1}
steps: [{settle: {for: 1}}]
enough: {operations: 5, checks: 3}
time_limit: 60
"""


@dataclass
class Notes:
    """What the app keeps."""

    sessions: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


@dataclass
class NotesReplica:
    """One replica. Whoever is not logged in is sent to the login page, and home after a login."""

    kept: Notes
    sessions: dict[str, str]

    def answer(self, request: AppRequest) -> AppAnswer:
        path, form = request.path.partition("?")[0], parse_qs(request.body.decode())
        if path == "/login":
            return self._log_in(form) if request.method == "POST" else AppAnswer(200, (HTML,), LOGIN_FORM)
        user = self.sessions.get(_cookie(request))
        if user is None:
            return AppAnswer(302, ("Location: /login",))
        if path == "/":
            return AppAnswer(200, (HTML,), b"<h1>home</h1>")
        if path == "/notes":
            self.kept.notes[user].append(form["note"][0])
            return AppAnswer(303, ("Location: /",))
        if path == "/notes.json":
            return AppAnswer(200, (), msgspec.json.encode({"notes": self.kept.notes[user]}))
        return AppAnswer(404, (HTML,), b"<h1>Not Found</h1><p>nothing is here")

    def _log_in(self, form: dict[str, list[str]]) -> AppAnswer:
        if form.get("user", [""])[0].startswith("nobody"):
            return AppAnswer(403, (HTML,), b"<p>wrong password")
        session = f"s{len(self.sessions)}-{id(self)}"
        self.sessions[session] = form["user"][0]
        return AppAnswer(302, ("Location: /", f"Set-Cookie: sid={session}; Path=/"))


@dataclass
class OneBehind(NotesReplica):
    """Shows whoever asks what it had shown last, whosever that was."""

    shown: bytes = b'{"notes":[]}'

    def answer(self, request: AppRequest) -> AppAnswer:
        answer = super().answer(request)
        if request.path != "/notes.json" or answer.status != 200:
            return answer
        shown, self.shown = self.shown, answer.body
        return AppAnswer(200, (), shown)


HTML = "Content-Type: text/html"


def _cookie(request: AppRequest) -> str:
    return request.headers.get("cookie", "").partition("sid=")[2].partition(";")[0]


def _shared(_: str, store: Notes) -> NotesReplica:
    return NotesReplica(store, store.sessions)


def _alone(_: str, store: Notes) -> NotesReplica:
    return NotesReplica(store, {})


NOTES_APPS = {
    "notes:v1": MakeApp(make=_shared),
    "notes:v1-memory": MakeApp(make=_alone),
    "notes:v1-one-behind": MakeApp(make=lambda _, store: OneBehind(store, store.sessions)),
}
