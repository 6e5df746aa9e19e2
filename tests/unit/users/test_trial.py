"""One user tries a journey out: what is told of each request, and which mistakes are found."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from lab.users import Tries, trial
from lab.users.loading import MakeUser
from lab.users.own import Http
from lab.users.trial import PartEnded, Trial, Tried, TriedRequest, TriedState, user_to_try
from tests.unit.users.foreign_app import App, Writer, served, steps, told_steps


@pytest.fixture
def app() -> Iterator[App]:
    with served(App()) as server:
        yield server


def tried(app: App, make: MakeUser, actions: int = 2, within: float = 5) -> Tried:
    once = Trial(make, app.target, user=user_to_try(1, 1), policy=Tries(first=0.001, timeout=5))
    return asyncio.run(once.run(actions, within=within))


def test_a_journey_that_works_is_told_request_by_request(app: App) -> None:
    """With the line that asked, the answer and who gave it, and what was compared with what."""
    told = tried(app, Writer)
    assert (told.mistake, told.is_in) == ("", True)
    assert told.compared > 0
    asked = [one for one in told.steps if isinstance(one, TriedRequest)]
    assert [(one.part, one.asked, one.result) for one in asked[:4]] == [
        ("log_in", "GET /login", "200"),
        ("log_in", "POST /login", "303"),
        ("log_in", "GET /notes", "200"),
        ("act", "POST /add", "303"),
    ]
    assert all(one.line.startswith("foreign_app.py:") for one in asked)
    assert asked[1].to == "/notes"
    assert asked[1].replica == "a1-1"
    states = [one for one in told.steps if isinstance(one, TriedState)]
    assert [(one.shown, one.fits) for one in states] == [
        ({"notes": ["user-001.1"]}, True),
        ({"notes": ["user-001.1", "user-001.2"]}, True),
    ]


def test_steps_without_python_are_named_by_their_place(app: App) -> None:
    """As in the scenario file."""
    told = tried(app, steps(told_steps()), actions=1)
    lines = [one.line for one in told.steps if isinstance(one, TriedRequest)]
    assert lines == ["log_in[0]", "log_in[1]", "act[0]", "state"]


class WrongPassword(Writer):
    def log_in(self, http: Http) -> None:
        http.post("/login", form={"user": "somebody", "token": "t&1"})


class WrongPath(Writer):
    def act(self, http: Http) -> None:
        http.post("/ad", form={"note": self.unique()}, expect=201)


class WrongState(Writer):
    def state(self, http: Http) -> Any:
        return {"notes": [item["note"] for item in http.get("/nots").json()["items"]]}


class OtherModel(Writer):
    def act(self, http: Http) -> None:
        http.post("/add", form={"note": self.unique()})
        self.model["notes"].append("another one")


class DoesNothing(Writer):
    def act(self, http: Http) -> None:
        http.get("/notes")


class Typo(Writer):
    def act(self, http: Http) -> None:
        http.pots("/add")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (WrongPassword, ["test_trial.py:", "nobody gets in", "POST /login -> 403"]),
        (WrongPath, ["test_trial.py:", "every act() ends early", "POST /ad -> 303", "not 201"]),
        (WrongState, ["test_trial.py:", "state() can't be read", "GET /nots -> 404"]),
        (OtherModel, ["the app shows {'notes': ['user-001.1']}", "another one"]),
        (DoesNothing, ["no read could have shown a loss: the state never changed"]),
        (Typo, ["test_trial.py:", "AttributeError"]),
    ],
)
def test_a_mistake_is_named_with_its_request_and_its_line(app: App, make: MakeUser, says: list[str]) -> None:
    """And nothing else is: a run of it would prove nothing."""
    told = tried(app, make)
    for words in says:
        assert words in told.mistake, told.mistake


def test_a_login_that_bounces_back_to_its_page_is_none(app: App) -> None:
    """The app keeps no session: after the redirect it shows its form again."""

    class Forgetful(Writer):
        def log_in(self, http: Http) -> None:
            app.sessions.clear()
            token = http.get("/login").field("token")
            http.post("/login", form={"user": f"u{self.number}", "token": token}, expect=303)
            app.sessions.clear()
            http.get("/notes")

    told = tried(app, Forgetful)
    assert not told.is_in
    assert "asks to log in again" in told.mistake
    assert "GET /login?next=/notes -> 200" in told.mistake


def test_a_journey_that_never_ends_is_given_up(app: App) -> None:
    """With the last answer that came."""

    class Waiting(Writer):
        def act(self, http: Http) -> None:
            super().act(http)
            http.sleep(60)

    told = tried(app, Waiting, within=0.3)
    assert "not over after 0.3 s" in told.mistake
    assert "GET /notes -> 200" in told.mistake
    assert [one.part for one in told.steps if isinstance(one, PartEnded)] == ["log_in"]


def test_a_journey_that_does_not_return_is_told_with_its_line(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the trial goes on."""
    go_on = threading.Event()

    class Stuck(Writer):
        def act(self, http: Http) -> None:
            super().act(http)
            go_on.wait(30)

    monkeypatch.setattr(trial, "STUCK_AFTER", 0.3)
    told = Trial(Stuck, app.target, user=user_to_try(1, 1), policy=Tries(timeout=5)).run_apart(1, within=0.3)
    go_on.set()
    assert told.is_stuck
    assert told.mistake.endswith(" did not return")
    assert ".py:" in told.mistake
