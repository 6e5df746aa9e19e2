"""A deployment watched from Python, as a test does it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lab
from lab.errors import NothingTold, StateLost, UsageError
from lab.record import ReadRecord
from lab.users.own import UserJourney
from tests.unit.run.watched import Deployment, deployment

pytestmark = pytest.mark.slow


class Visitor(UserJourney):
    """Keeps notes."""

    def begin(self) -> dict[str, Any]:
        return {"notes": []}

    def log_in(self, http: Any) -> None:
        http.post("/login", form={"user": self.name})

    def act(self, http: Any) -> None:
        note = self.unique()
        http.post("/add", form={"note": note}, once=True)
        self.model["notes"] = [*self.model["notes"], note]

    def state(self, http: Any) -> Any:
        return {"notes": http.get("/notes").json()["items"]}


@pytest.fixture
def app() -> Iterator[Deployment]:
    with deployment() as app:
        yield app


@pytest.fixture
def watched(app: Deployment, tmp_path: Path) -> Callable[..., Any]:
    """`lab.watch` of this app, quickly."""

    def watch(deploy: str, code: int = 0) -> Any:
        program = f"import sys, urllib.request as u; u.urlopen('{app.url}{deploy}'); sys.exit({code})"
        return lab.watch(
            app.url,
            Visitor,
            [sys.executable, "-c", program],
            users=5,
            release_from=("header:X-Version", "get:/version#app.release"),
            before=0.4,
            after=0.4,
            settings={"users.think": 0.05, "enough.operations": 20},
            seed=3,
            runs=tmp_path,
        )

    return watch


def test_a_deployment_that_hurts_nobody_says_how_much_was_seen(watched: Callable[..., Any]) -> None:
    """The record is kept, with the journey that ran."""
    result = watched("/deploy")
    assert (result.kept, result.served_by_new, result.most_tries, result.verdict) == (5, 5, 1, "held")
    assert result.lines[0].startswith("HELD")
    assert ReadRecord(Path(result.folder)).document("scenario.json")["users"]["journey"] == f"{__file__}:Visitor"


def test_a_deployment_that_loses_state_raises_with_the_story(watched: Callable[..., Any]) -> None:
    """Naming the command."""
    with pytest.raises(StateLost) as raised:
        watched("/deploy/empty")
    assert "BROKEN" in str(raised.value)
    assert "the command" in str(raised.value)


def test_a_command_that_fails_is_no_success(watched: Callable[..., Any]) -> None:
    """Though nobody was hurt."""
    with pytest.raises(NothingTold, match="ended with 7"):
        watched("/deploy", code=7)


def test_what_makes_no_sense_is_told_before_anything_is_sent(app: Deployment) -> None:
    """With the argument."""
    with pytest.raises(UsageError, match="is not a journey"):
        lab.watch(app.url, Deployment, ["true"])
    with pytest.raises(UsageError, match="sends no load there") as raised:
        lab.watch("http://example.com", Visitor, ["true"])
    assert raised.value.at.startswith("lab.watch: target.urls")
    assert app.asked == []


def test_the_fixture_takes_the_sessions_seed(lab_watch: Callable[..., Any], request: pytest.FixtureRequest) -> None:
    """And needs neither a cluster nor an engine."""
    with pytest.raises(UsageError, match="sends no load there"):
        lab_watch("http://example.com", Visitor, ["true"])
    assert request.node.user_properties == []
