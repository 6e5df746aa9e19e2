"""Users of an own app who log out: the session that they end must be good for nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.model import Kind, Operation, Outcome
from lab.oracle import check
from lab.oracle.occasions import OccasionCounts
from lab.oracle.promises import LOGGED_IN, Anomaly
from lab.oracle.session_ends import session_ends
from lab.users import logouts
from lab.users.own import Http, UserJourney
from lab.users.page import Unexpected
from lab.users.steps import check_journey
from tests.unit.users.foreign_app import (
    STEPS,
    App,
    Leaver,
    Writer,
    broken,
    live,
    nothing,
    served,
    states,
    steps,
    told_steps,
)

LOG_OUT = "log_out: [{post: /logout, form: {from: here}}]"


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """One whose users log out whenever they can."""
    monkeypatch.setattr(logouts, "LOGS_OUT", 1.0)
    with served(App()) as server:
        yield server


def ended(told: list[Operation]) -> list[Operation]:
    """What was asked with a session after its user had ended it."""
    out = next(place for place, one in enumerate(told) if one.kind is Kind.LOGOUT)
    return [one for one in told[out:] if one.kind is Kind.READ and one.session == told[out].session]


@pytest.mark.parametrize("journey", [Leaver, steps(told_steps(f"{STEPS}{LOG_OUT}"))])
def test_an_ended_session_is_shown_again_and_turned_away(app: App, journey: type[UserJourney]) -> None:
    """By whoever is asked; and the next turn logs in anew."""
    told = live(app, journey, nothing, nothing, nothing)
    assert [one.session_rejected for one in ended(told)] == [True] * logouts.SHOWN
    assert len({one.session for one in told if one.kind is Kind.LOGIN}) == 2
    assert broken(told) == set()
    counted = OccasionCounts(())
    for one in told:
        counted.feed(one)
    assert counted.counts()["ended_sessions"] == 2 * logouts.SHOWN
    assert check(told).why_no_logout == ""
    assert len(states(told)) == 1


def test_a_session_that_lives_on_is_found_with_its_cause(app: App) -> None:
    """The app says that it ended, and takes it all the same, whoever is asked."""
    app.at_logout = lambda: True
    told = live(app, Leaver, *[nothing] * 3)
    found = check(told).findings
    assert {(one.promise, one.anomaly) for one in found} == {(LOGGED_IN, Anomaly.ALIVE_AFTER_LOGOUT)}
    app.replicas = {"GET": "a1-1", "POST": "a1-1"}.__getitem__
    told = live(app, Leaver, *[nothing] * 6)
    cause = session_ends(check(told).findings, told, ())
    assert cause == "a logout ends no session: whoever has its cookies stays logged in"


def test_who_ended_a_session_is_who_was_asked_to(app: App) -> None:
    """And not who answered what its answer led to."""
    told = live(app, Leaver, nothing, nothing)
    (out,) = [one for one in told if one.kind is Kind.LOGOUT]
    assert (out.final.result, out.final.replica) == ("303", "a1-1")

    class Goes(Writer):
        def log_out(self, http: Http) -> None:
            http.get("/start")

    told = live(app, Goes, nothing, nothing)
    (out,) = [one for one in told if one.kind is Kind.LOGOUT]
    assert (out.final.result, out.final.replica) == ("200", "b1-2")


def test_an_ended_session_is_shown_with_the_cookies_of_its_page(app: App) -> None:
    """A session's cookie may be for some paths alone."""
    app.at_logout, app.cookie_path = lambda: True, "/notes"

    class Below(Leaver):
        def act(self, http: Http) -> None:
            http.get("/notes")

        def log_out(self, http: Http) -> None:
            http.post("/logout", form={"": ""}, expect=303)

    found = check(live(app, Below, *[nothing] * 3)).findings
    assert {one.anomaly for one in found} == {Anomaly.ALIVE_AFTER_LOGOUT}


@pytest.mark.parametrize("ends", [True, False])
def test_a_login_page_in_place_of_another_turns_away(app: App, ends: bool) -> None:
    """Whoever gets it, with 200, is not logged in; whoever gets something else is."""
    app.shows_login = True
    if not ends:
        app.at_logout = lambda: True
    told = live(app, Leaver, nothing, nothing)
    assert [one.session_rejected for one in ended(told)] == [ends] * logouts.SHOWN
    assert broken(told) == (set() if ends else {LOGGED_IN})


def test_a_page_for_everybody_tells_nothing(app: App) -> None:
    """It is shown without any session, too, so nobody can say what an ended one is good for."""
    app.at_logout, app.is_open = lambda: True, True
    told = live(app, Leaver, nothing, nothing)
    assert ended(told) == []
    assert broken(told) == set()


def test_a_logout_that_was_not_answered_claims_nothing(app: App) -> None:
    """Neither that the session ended, nor that it did not; nor does one that asks for nothing."""
    app.at_logout = lambda: False

    class Idle(Writer):
        def log_out(self, http: Http) -> None:
            """Forgotten."""

    class Silent(Writer):
        def log_out(self, http: Http) -> None:  # noqa: ARG002
            raise Unexpected

    for journey in (Leaver, Silent, Idle):
        told = live(app, journey, nothing, nothing)
        assert [one.outcome for one in told if one.kind is Kind.LOGOUT] == [Outcome.UNKNOWN]
        assert ended(told) == []
        assert broken(told) == set()
        assert check(told).why_no_logout.startswith("log_out ended early in 100 % of its calls: ")
    assert check(told).why_no_logout.endswith(": it asked for nothing")


def test_nobody_logs_out_who_can_not(app: App) -> None:
    """Whatever the share is, and nothing is drawn for it."""
    told = live(app, Writer, nothing, nothing)
    assert len(states(told)) == 2
    assert not [one for one in told if one.kind is Kind.LOGOUT]


def test_steps_of_a_logout_are_checked_as_all_are() -> None:
    """With the place in the file."""
    with pytest.raises(Exception, match=r"log_out\[0\]"):
        check_journey(told_steps(f"{STEPS}log_out: [{{post: /logout, form: {{token: '{{nothing}}'}}}}]"))
