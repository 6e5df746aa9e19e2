"""A release is an image, an environment and what is run before it: migrations as drills, in seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest

from lab.errors import ExitCode
from lab.record import CommandEnded, CommandSaid, Step, Trouble
from lab.testing.in_process import AppAnswer, AppRequest, MakeApp
from tests.in_process import Ended, InProcessLab

pytestmark = pytest.mark.slow

ROWS: list[dict[str, str]] = []
"""The one table: a note is kept under the column that the schema has."""
SCHEMA: set[str] = set()
USERS: set[str] = set()
"""Accounts: whoever has none is not let in."""


class Notes:
    """Writes and reads notes by one column, or by both as in the middle of expand and contract."""

    def __init__(self, *columns: str) -> None:
        self._columns = columns

    def answer(self, request: AppRequest) -> AppAnswer:
        user = request.headers.get("cookie", "").partition("user=")[2]
        form = {key: one[0] for key, one in parse_qs(request.body.decode()).items()}
        if request.path == "/healthz":
            return AppAnswer(200)
        if request.path == "/login":
            is_in = form.get("user") in USERS
            return AppAnswer(303 if is_in else 403, (f"Set-Cookie: user={form.get('user')}", "Location: /notes"))
        if not user:
            return AppAnswer(302, ("Location: /login",))
        missing = [one for one in self._columns if one not in SCHEMA]
        if missing:
            return AppAnswer(500, (), f"no such column: {missing[0]}".encode())
        if request.method == "POST":
            ROWS.append({"user": user, **dict.fromkeys(self._columns, form["note"])})
            return AppAnswer(303, ("Location: /notes",))
        notes = [row[column] for row in ROWS if row["user"] == user for column in self._columns[:1] if column in row]
        return AppAnswer(200, (), msgspec.json.encode({"notes": notes}))


def migrates(argv: Sequence[str], _: Any) -> tuple[int, list[str]]:
    """The image's own tool."""
    if argv[0] == "fail":
        return 1, ["applying 0002", "no space left on device"]
    if argv[0] == "seed":
        SCHEMA.add("body")
        USERS.update(f"u{number}" for number in range(1, 7))
    if argv[0] in {"expand", "rename"}:
        SCHEMA.add("text")
        for row in ROWS:
            row.setdefault("text", row["body"])
    if argv[0] == "rename":
        SCHEMA.discard("body")
    return 0, [f"{argv[0]} is done"]


APPS = {
    "notes:v1": MakeApp(make=lambda _, __: Notes("body"), runs=migrates),
    "notes:v2": MakeApp(make=lambda _, __: Notes("body", "text"), runs=migrates),
    "notes:v2-only-text": MakeApp(make=lambda _, __: Notes("text"), runs=migrates),
}
SCENARIO = """
lab: 1
name: drill
title: a migration
cluster: {release: "notes:v1", zones: {a: 1, b: 1, c: 1}, first: {run: [FIRST]}}
users:
  count: 6
  think: 0.05
  http:
    log_in: [{post: /login, form: {user: "u{n}"}, expect: 303}]
    act: [{post: /notes, form: {note: "{new}"}, expect: 303, adds: "{new}"}]
    state: {get: /notes, path: "notes.*"}
promises: {serving_at_least: 1}
steps: [{settle: {for: 0.3}}, {roll: ROLL}, {settle: {for: 0.5}}]
enough: {operations: 20, checks: 5, users_served_by_new: 3}
time_limit: 60
"""


@pytest.fixture
def drill(tmp_path: Path) -> Callable[..., Ended]:
    ROWS.clear()
    SCHEMA.clear()
    USERS.clear()

    def run(roll: str, first: str = "seed", beside: str = "") -> Ended:
        text = SCENARIO.replace("FIRST", first)
        if beside:
            text = text.replace("{roll: ROLL}", f"{{together: [{{roll: ROLL}}, {beside}]}}")
        return InProcessLab(tmp_path, APPS).run(text.replace("ROLL", roll))

    return run


def said(ended: Ended) -> list[str]:
    return [event.line for event in ended.events() if isinstance(event, CommandSaid)]


def test_expand_and_contract_holds(drill: Callable[..., Ended]) -> None:
    """The accounts come from what is run first, the column from what is run before the roll; both logs are kept."""
    ended = drill('{to: "notes:v2", before: {run: [expand]}}')
    assert ended.code == ExitCode.HELD, ended.lines
    assert said(ended) == ["seed is done", "expand is done"]
    events = ended.events()
    migrated = [event.at for event in events if isinstance(event, CommandEnded)][1]
    assert all(event.at > migrated for event in events if isinstance(event, Step) and event.release == "v2")


def test_a_dropped_column_breaks_the_old_release_and_is_named(drill: Callable[..., Ended]) -> None:
    """It serves on the new schema until it is replaced."""
    ended = drill('{to: "notes:v2-only-text", before: {run: [rename]}, pause: 0.6}')
    assert ended.code == ExitCode.BROKEN, ended.lines
    likely = ended.judged.judgement.likely
    assert likely.startswith("v1 fails"), likely
    assert likely.endswith("v2-only-text changed what both share (schema)")


def test_a_migration_that_fails_gives_the_release_up(drill: Callable[..., Ended]) -> None:
    """Exit 3 with its log; no replica of it was ever made."""
    ended = drill('{to: "notes:v2", before: {run: [fail]}}')
    assert ended.code == ExitCode.ROLLED_BACK, ended.lines
    assert said(ended)[1:] == ["applying 0002", "no space left on device"]
    assert not [event for event in ended.events() if isinstance(event, Step) and event.release == "v2"]
    assert any("the command" in line and "ended with 1" in line for line in ended.lines)


def test_a_release_that_was_given_up_needs_no_reverse(drill: Callable[..., Ended]) -> None:
    """Nobody waits for a phase that can't come any more."""
    roll = '{to: "notes:v2", strategy: red-black, keep: 5, before: {run: [fail]}}'
    ended = drill(roll, beside="{reverse: {at: keep}}")
    assert ended.code == ExitCode.ROLLED_BACK, ended.lines


def test_what_fails_first_ends_the_run(drill: Callable[..., Ended]) -> None:
    """Nobody comes to an app that was not prepared."""
    ended = drill('{to: "notes:v2"}', first="fail")
    assert ended.code == ExitCode.COULD_NOT_TELL
    [trouble] = [event.what for event in ended.events() if isinstance(event, Trouble)]
    assert "fail failed; its last line: no space left on device" in trouble


def test_one_image_in_another_environment_is_another_release(drill: Callable[..., Ended]) -> None:
    """A rotated key, say: it is rolled out, and users are served by it."""
    ended = drill('{to: "notes:v1", env: {SECRET: new}}')
    assert ended.code == ExitCode.HELD, ended.lines
    releases = {event.release for event in ended.events() if isinstance(event, Step)}
    assert {one.partition(".")[0] for one in releases} == {"v1", "v1+SECRET"}
