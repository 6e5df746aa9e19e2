"""Somebody's own journey: its model, what it allows in doubt, and what a session that is gone does to it."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from lab.errors import JourneyMistake, UsageError
from lab.model import Kind, Operation, Outcome, TryResult
from lab.oracle import check
from lab.oracle.promises import APPLIED_ONCE, LOGGED_IN, STATE_KEPT
from lab.users.device import Device, User
from lab.users.loading import MakeUser, OwnUsers, load_journey
from lab.users.own import Http
from lab.users.page import Page, Unexpected
from lab.users.steps import check_journey
from tests.unit.users.foreign_app import (
    STEPS,
    App,
    Repeating,
    Writer,
    broken,
    live,
    nothing,
    served,
    states,
    steps,
    told_steps,
)


@pytest.fixture
def app() -> Iterator[App]:
    with served(App()) as server:
        yield server


def test_what_was_acknowledged_is_read_back(app: App) -> None:
    """Every action is followed by a comparison that could have failed; none does."""
    told = live(app, Writer, nothing, nothing, nothing)
    assert [len(one.answer["notes"]) for one in states(told)] == [1, 2, 3]
    assert all(one.allowed == (one.answer,) for one in states(told))
    judged = check(told)
    assert judged.findings == []
    assert judged.counts[STATE_KEPT] == 2  # the first state alone does not show that it follows from the answers
    assert judged.counts[LOGGED_IN] > 3


def test_a_lost_write_is_told_once(app: App) -> None:
    """The app said yes and kept nothing: a finding with the write as its witness; then life goes on."""
    told = live(app, Writer, nothing, lambda: setattr(app, "next", "lose"), nothing)
    found = check(told).findings
    assert [(one.promise, one.anomaly) for one in found] == [(STATE_KEPT, "lost write")]
    assert [one.kind for one in found[0].witness] == [Kind.ACT, Kind.ACT, Kind.STATE]
    assert states(told)[-1].allowed == (states(told)[-1].answer,)


@pytest.mark.slow
def test_a_long_state_that_is_as_it_must_be_is_told_by_its_digest(app: App) -> None:
    """The record does not grow with the square of the actions; what is lost is told in full, also from the record."""

    def doubt() -> None:
        app.next = "keep silent"

    told = live(app, Writer, *(40 * [nothing]), doubt, lambda: setattr(app, "next", "lose"))
    assert states(told)[5].answer["notes"]
    assert all(len(msgspec.json.encode(one)) < 1000 for one in states(told)[:40])
    in_doubt = states(told)[40]
    assert in_doubt.allowed is not None
    assert in_doubt.answer == in_doubt.allowed[1] != in_doubt.allowed[0]
    assert len(states(told)[41].answer["notes"]) == 41
    again = msgspec.json.decode(msgspec.json.encode(told), type=list[Operation])
    found = check(again).findings
    assert [(one.promise, one.anomaly) for one in found] == [(STATE_KEPT, "lost write")]
    assert "user-001.42" in found[0].why
    assert check(again).counts[STATE_KEPT] == 40  # neither the first, nor the one that nobody is known to have taken


@pytest.mark.parametrize("happened", ["keep silent", "ignore"])
def test_in_doubt_both_outcomes_are_allowed(app: App, happened: str) -> None:
    """A request that got no answer may have taken effect or not; it is not sent again, and both are well."""
    told = live(app, Writer, nothing, lambda: setattr(app, "next", happened), nothing)
    assert app.posts == 3
    doubtful = states(told)[1]
    assert doubtful.allowed is not None
    assert [len(one["notes"]) for one in doubtful.allowed] == [1, 2]
    assert broken(told) == set()
    cut = next(one for one in told if one.final.result == TryResult.CUT)
    assert (cut.outcome, cut.is_repeatable, len(cut.tries)) == (Outcome.UNKNOWN, False, 1)


def test_doubt_allows_nothing_else(app: App) -> None:
    """What was acknowledged before the doubt must be there in both outcomes."""

    def lose_all() -> None:
        app.notes.clear()
        app.next = "keep silent"

    assert broken(live(app, Writer, nothing, lose_all)) == {STATE_KEPT}


def test_what_was_not_answered_may_take_effect_later(app: App) -> None:
    """Also after a read that did not show it yet; anything else that appears by itself is still found."""

    def appear(note: str) -> Callable[[], None]:
        return lambda: app.notes.append(note)

    def ignore() -> None:
        app.next = "ignore"

    assert broken(live(app, Writer, nothing, ignore, appear("user-001.2"), nothing)) == set()
    app.notes.clear()
    assert broken(live(app, Writer, nothing, ignore, appear("user-001.9"), nothing)) == {STATE_KEPT}
    app.notes.clear()
    twice = live(app, Writer, nothing, ignore, appear("user-001.2"), appear("user-001.2"))
    assert {one.promise for one in check(twice).findings} == {APPLIED_ONCE}


def test_once_is_repeated_with_the_same_key(app: App) -> None:
    """Where the app applies a key once, a request without an answer is sent again, and no doubt is left."""
    told = live(app, Repeating, lambda: setattr(app, "next", "keep silent"))
    assert app.posts == 2
    assert len(set(app.keys)) == 1
    assert app.keys[0]
    assert states(told)[0].allowed == ({"notes": ["user-001.1"]},)
    assert broken(told) == set()


def test_a_redirect_to_the_login_page_is_a_lost_session(app: App) -> None:
    """Nobody had logged out: `logged_in` is broken; the next action logs in again, and the state is still there."""
    told = live(app, Writer, nothing, app.sessions.clear, nothing)
    assert broken(told) == {LOGGED_IN}
    assert sum(one.kind is Kind.LOGIN for one in told) == 2
    assert len(states(told)[-1].answer["notes"]) == 2
    (found,) = check(told).findings
    assert found.witness[-1].argument == "POST /add (to /login?next=/notes)"  # and not what came after the redirect
    assert "sent to log in (302)" in found.why


class FromHome(Writer):
    """Its login begins at home, where the app also leads whoever has written a note."""

    def log_in(self, http: Http) -> None:
        http.get("/")
        http.post("/login", form={"user": f"u{self.number}", "token": "t&1"})


class ThroughHome(Writer):
    def log_in(self, http: Http) -> None:
        http.get("/")
        super().log_in(http)


class SaysSoItself(Writer):
    """Knows better than a status who is logged out, and expects a 401 now and then."""

    def act(self, http: Http) -> None:
        super().act(http)
        http.get("/secret", expect=(200, 401))

    def is_logged_out(self, page: Page, login_path: str) -> bool:
        return page.path != "/secret" and super().is_logged_out(page, login_path)


class ExpectsIt(Writer):
    def act(self, http: Http) -> None:
        super().act(http)
        http.get("/secret", expect=(200, 401))


@pytest.mark.parametrize("make", [SaysSoItself, ExpectsIt])
def test_a_401_that_is_expected_logs_nobody_out(app: App, make: MakeUser) -> None:
    """What a journey expects, or says is no logout, is none."""
    told = live(app, make, nothing, nothing)
    assert [one.final.result for one in told if one.final.result == "401"] == ["401"] * 2
    assert sum(one.kind is Kind.LOGIN for one in told) == 1
    assert broken(told) == set()


@pytest.mark.parametrize("make", [FromHome, ThroughHome])
def test_a_redirect_home_is_no_lost_session(app: App, make: MakeUser) -> None:
    """The login page is the one that the form was sent from; home may be where every action ends."""
    app.answers_a_note = (303, "/")
    told = live(app, make, nothing, nothing)
    assert [len(one.answer["notes"]) for one in states(told)] == [1, 2]
    assert broken(told) == set()


def test_where_a_login_began_elsewhere_its_page_is_still_known(app: App) -> None:
    """Or said by the journey, where it is home or another one."""
    assert broken(live(app, ThroughHome, nothing, app.sessions.clear)) == {LOGGED_IN}
    assert broken(live(app, FromHome, nothing, app.sessions.clear)) == {STATE_KEPT}
    told = live(app, type("Knowing", (FromHome,), {"login_page": "/login"}), nothing, app.sessions.clear)
    assert broken(told) == {LOGGED_IN}
    knowing = told_steps("login_page: /login" + STEPS)
    assert steps(knowing)("u-1", 1, "pw", random.Random(1)).login_page == "/login"


def test_what_was_accepted_before_an_action_ended_early_is_no_loss_and_no_wonder(app: App) -> None:
    """The note was kept, and the page after it is missing: what the state is then, only the next read says."""
    app.answers_a_note = (303, "/nowhere")
    told = live(app, Writer, nothing, lambda: setattr(app, "answers_a_note", (303, "/notes")))
    assert [one.allowed for one in states(told)] == [None, ({"notes": ["user-001.1", "user-001.2"]},)]
    assert broken(told) == set()


@pytest.mark.parametrize(
    ("status", "where", "got"),
    [
        (303, "/notes?q=a b", "/notes?q=a%20b"),
        (303, "/notes?q=caf\u00e9", "/notes?q=caf%E9"),
        (303, "/notes?q=%20", "/notes?q=%20"),
        (302, "/notes?q=1", "/notes?q=1"),
        (301, "/notes?q=1", "/notes?q=1"),
    ],
)
def test_a_redirect_is_followed_as_browsers_do(app: App, status: int, where: str, got: str) -> None:
    """What can't stand in an address is quoted, and what was posted is not posted again."""
    app.answers_a_note = (status, where)
    told = live(app, Writer, nothing)
    assert got in app.gets
    assert len(app.notes) == app.posts == 1
    assert broken(told) == set()


def test_a_redirect_to_no_address_ends_the_action_alone(app: App) -> None:
    """As any answer that can't be followed."""
    app.answers_a_note = (303, "http://[oops/notes")
    assert broken(live(app, Writer, nothing, nothing)) == set()


class Tangled(Writer):
    """Writes into its model only after a second request."""

    def act(self, http: Http) -> None:
        note = self.unique()
        http.post("/add", form={"note": note}, expect=303)
        http.get("/notes")
        self.model["notes"].append(note)


def test_where_the_other_outcome_is_unknown_anything_is_allowed(app: App) -> None:
    """In doubt the rest of an action can only be imagined; where that needs answers, no claim is made."""
    told = live(app, Tangled, nothing, lambda: setattr(app, "next", "keep silent"), nothing)
    assert [one.allowed is None for one in states(told)] == [False, True, False]
    assert broken(told) == set()


class Broken(Writer):
    def act(self, http: Http) -> None:
        http.get("/notes").json()["nothing of the kind"]


def test_a_journey_that_breaks_says_where(app: App) -> None:
    """An error in somebody's own file is told with its line, and never as a broken promise."""
    with pytest.raises(UsageError, match=r"Broken broke: KeyError.*") as raised:
        live(app, Broken, nothing)
    assert "test_driven.py:" in raised.value.at


class Failing(Writer):
    def act(self, http: Http) -> None:  # noqa: ARG002 -- as the journey has it
        pytest.fail("as a test does")


class Searching(Writer):
    def act(self, http: Http) -> None:
        next(one for one in http.get("/notes").json()["items"] if one == "nothing of the kind")


class Parsing(Writer):
    def act(self, http: Http) -> None:
        json.loads(http.get("/login").text)


@pytest.mark.parametrize(
    ("journey", "what"),
    [(Failing, "Failed: as a test does"), (Searching, "StopIteration$"), (Parsing, "JSONDecodeError: ")],
)
def test_whatever_a_journey_raises_says_where(app: App, journey: type[Writer], what: str) -> None:
    """Its own line, though it is no Exception, nothing that a coroutine may raise, or raised by what it called."""
    with pytest.raises(UsageError, match=f"{journey.__name__} broke: {what}") as raised:
        live(app, journey, nothing)
    assert "test_driven.py:" in raised.value.at


class Misreading(Broken):
    def is_logged_out(self, page: Page, login_path: str) -> bool:  # noqa: ARG002 -- as the journey has it
        return bool(page.json()["logged_out"])


def test_a_mistake_in_reading_an_answer_says_where_and_is_told(app: App) -> None:
    """The request was sent, so the record has it as one whose effect nobody knows."""
    app.shows = (200, b"{}")
    told: list[Operation] = []
    with pytest.raises(UsageError, match=r"Misreading broke: KeyError.*") as raised:
        live(app, Misreading, nothing, told=told)
    assert "test_driven.py:" in raised.value.at
    assert (told[-1].outcome, told[-1].final.result) == (Outcome.UNKNOWN, TryResult.CUT)


class Leaving(Writer):
    def act(self, http: Http) -> None:  # noqa: ARG002 -- as the journey has it
        sys.exit(0)


class LeavingAtAnAnswer(Writer):
    def is_logged_out(self, page: Page, login_path: str) -> bool:  # noqa: ARG002
        sys.exit(0)


class LeavingUnheard(Writer):
    def act(self, http: Http) -> None:  # noqa: ARG002
        os._exit(0)


class LeavingUnheardAtAnAnswer(Writer):
    def is_logged_out(self, page: Page, login_path: str) -> bool:  # noqa: ARG002
        os._exit(0)


class Interrupting(Writer):
    def act(self, http: Http) -> None:  # noqa: ARG002
        raise KeyboardInterrupt


class InterruptingAtAnAnswer(Writer):
    def is_logged_out(self, page: Page, login_path: str) -> bool:  # noqa: ARG002
        raise KeyboardInterrupt


@pytest.mark.parametrize("journey", [Interrupting, InterruptingAtAnAnswer])
def test_a_journey_that_says_it_was_interrupted_was_not(
    app: App, monkeypatch: pytest.MonkeyPatch, journey: type[Writer]
) -> None:
    """The lab takes Ctrl-C itself, so that nobody pressed it who raises that."""
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_IGN)
    with pytest.raises(UsageError, match=rf"{journey.__name__} broke: KeyboardInterrupt$") as raised:
        live(app, journey, nothing)
    assert "test_driven.py:" in raised.value.at


@pytest.mark.parametrize("journey", [Leaving, LeavingAtAnAnswer, LeavingUnheard, LeavingUnheardAtAnAnswer])
def test_a_journey_that_ends_the_process_says_where(app: App, journey: type[Writer]) -> None:
    """`sys.exit(0)` in somebody's own file would pass for a verdict, and after `os._exit` there would be none."""
    with pytest.raises(UsageError, match=rf"{journey.__name__} broke: ended the process: sys\.exit\(0\)") as raised:
        live(app, journey, nothing)
    assert "test_driven.py:" in raised.value.at


def test_a_child_that_a_journey_forks_may_end_as_it_likes(app: App) -> None:
    """So may the lab itself, which is no own code."""
    ended = list[int]()

    class Forking(Writer):
        def act(self, http: Http) -> None:  # noqa: ARG002
            child = os.fork()
            if not child:
                os._exit(3)
            ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    live(app, Forking, nothing)
    assert set(ended) == {3}


class LeavingAtOnce(Writer):
    def __init__(self, *_: object) -> None:
        sys.exit(0)


def test_a_journey_that_can_not_be_made_says_where() -> None:
    """Before its user did anything."""
    device = SimpleNamespace(user=User(name="user-001", password="pw"), chance=random.Random(1))
    with pytest.raises(UsageError, match=r"LeavingAtOnce broke: ended the process: sys\.exit\(0\)") as raised:
        OwnUsers(LeavingAtOnce, "http://127.0.0.1:1")(cast("Device", device))
    assert "test_driven.py:" in raised.value.at


class Lost(Writer):
    def act(self, http: Http) -> None:
        http.get("/nowhere")


def test_an_unexpected_answer_ends_the_action_alone(app: App) -> None:
    """A 404 is an answer; the model stays as it was and is still compared."""
    told = live(app, Lost, nothing)
    assert states(told)[0].allowed == ({"notes": []},)
    assert broken(told) == set()


def test_a_journey_of_steps_keeps_and_adds(app: App) -> None:
    """The same user without Python: a token by its field's name, a draw that is the same in form and list."""
    told = live(app, steps(told_steps()), nothing, nothing)
    assert [len(one.answer["acknowledged"]) for one in states(told)] == [1, 2]
    assert broken(told) == set()
    assert broken(live(app, steps(told_steps()), lambda: setattr(app, "next", "lose"))) == {STATE_KEPT}


@pytest.mark.parametrize(
    ("change", "at"),
    [
        (("{token}", "{tokn}"), r"log_in\[1\]"),
        (("{field: token}", "'(a'"), r"log_in\[0\]\.keep\.token"),
        (("{field: token}", "{}"), r"log_in\[0\]\.keep\.token"),
        (("{post: /add, ", "{"), r"act\[0\]"),
        ((', adds: "{new} {any: tea|cup}"', ""), "act"),
        (("expect: 303", "expect: 503"), r"log_in\[1\]\.expect"),
        (("act:", "login_page: login\nact:"), "login_page"),
    ],
)
def test_steps_that_mean_nothing_are_refused(change: tuple[str, str], at: str) -> None:
    """With the key path, before anything is started."""
    with pytest.raises(UsageError, match=rf"^{at}: "):
        check_journey(told_steps(STEPS.replace(*change)))


@pytest.mark.parametrize("shows", [(404, b"gone"), (200, b"{}"), (200, b'{"items": null}'), (200, b"<html>")])
def test_an_app_that_has_no_state_to_show_has_lost_it(app: App, shows: tuple[int, bytes]) -> None:
    """The finding says what came instead; it is told once, and what is read later is the state from then on."""

    def lose() -> None:
        app.shows = shows

    def show_again() -> None:
        app.shows = None

    told = live(app, steps(told_steps()), nothing, lose, nothing, show_again, nothing)
    found = check(told).findings
    assert [one.promise for one in found] == [STATE_KEPT]
    assert f"{states(told)[1].answer}"[:40] in found[0].why
    assert len(states(told)) == 4
    assert app.posts == 3


def test_only_an_answer_says_that_a_state_is_gone(app: App) -> None:
    """An app that can't tell just now breaks another promise than this; and whoever has nothing may be unknown."""

    def show(status: int) -> Callable[[], None]:
        return lambda: setattr(app, "shows", (status, b""))

    assert len(states(live(app, Writer, nothing, show(503), show(429)))) == 1
    assert states(live(app, Lost, show(404))) == []


@pytest.mark.parametrize(("method", "expect"), [("HEAD", None), ("CONNECT", None), ("GET", 503), ("POST", (200, 502))])
def test_what_could_never_succeed_is_refused(app: App, method: str, expect: Any) -> None:
    """Before anything is sent, with the request's path and a way out."""

    class Asking(Writer):
        def act(self, http: Http) -> None:
            http.ask(method, "/notes", expect=expect)

    with pytest.raises(UsageError, match=f"^{method} /notes: ") as raised:
        live(app, Asking, nothing)
    assert raised.value.hint


def test_a_page_without_the_field_is_unexpected(app: App) -> None:
    """And so are a pattern that matches nothing, and no JSON."""

    class Looking(Writer):
        def act(self, http: Http) -> None:
            page = http.get("/login")
            for look in (lambda: page.field("no"), lambda: page.find("no(.)"), page.json):
                with pytest.raises(Unexpected):
                    look()
            assert page.find(r'value="([^"]+)"') == "t&1"

    assert len(states(live(app, Looking, nothing))) == 1


def test_a_pattern_that_takes_for_ever_says_so() -> None:
    """It would hold up every user, and no signal gets through to what runs it."""
    page = Page(200, {}, b"a" * 60 + b"b", "/notes")
    with pytest.raises(JourneyMistake, match=r"was still not matched after 1 s in GET /notes") as raised:
        page.find("(a|aa)+$")
    assert "repeat" in raised.value.hint


WHOLE = """
from lab import Journey

class Shopper(Journey):
    def begin(self): return {}
    def log_in(self, http): pass
    def act(self, http): pass
    def state(self, http): pass
"""


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("class Shopper: ...", "is no journey"),
        ("import nothing_of_the_kind", "ModuleNotFoundError"),
        ("from lab import Journey\nclass Shopper(Journey): ...", "lacks act, log_in, state"),
        (WHOLE.replace("def act", "async def act"), "Shopper.act is a coroutine"),
        (WHOLE.replace("return {}", "yield {}"), "Shopper.begin is a coroutine or a generator"),
    ],
)
def test_a_file_that_holds_no_journey_is_refused(tmp_path: Any, text: str, what: str) -> None:
    """Before anything is started, with what is missing."""
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(UsageError, match=what):
        load_journey(f"{file}:Shopper")
    file.write_text(WHOLE)
    assert load_journey(f"{file}:Shopper").__name__ == "Shopper"


class OnlyReads(Writer):
    def act(self, http: Http) -> None:
        http.get("/notes")


class Idle(Writer):
    def act(self, http: Http) -> None:
        """Nothing."""


class Refused(Writer):
    def act(self, http: Http) -> None:
        http.post("/login", form={"user": "nobody"}, expect=403)


class Constant(Writer):
    def act(self, http: Http) -> None:
        http.post("/add", form={"note": self.unique()})

    def state(self, http: Http) -> Any:  # noqa: ARG002 -- as the journey has it
        return {"notes": []}


class OnlyAType(Constant):
    def begin(self) -> dict[str, Any]:
        return {"type": "list"}

    def state(self, http: Http) -> Any:
        return {"type": type(http.get("/notes").json()["items"]).__name__}


class Mirror(Writer):
    def state(self, http: Http) -> Any:  # noqa: ARG002 -- as the journey has it
        return self.model


class AskingMirror(Writer):
    def state(self, http: Http) -> Any:
        http.get("/notes").json()
        return self.model


class NoField(Writer):
    def act(self, http: Http) -> None:
        http.post("/add", form={"note": http.get("/login").field("csrf")})


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (OnlyReads, "no write was accepted"),
        (Idle, "no write was accepted"),
        (Refused, "no write was accepted"),
        (Constant, "the state never changed"),
        (OnlyAType, "the state never changed"),
        (Mirror, "state() asks the app nothing"),
        (AskingMirror, "state() shows the same whatever the app answers"),
        (NoField, "act ended early in 100 % of its calls: no field 'csrf' in GET /login"),
        (Writer, ""),
    ],
)
def test_users_who_prove_nothing_are_told_why(app: App, make: MakeUser, why: str) -> None:
    """None of their comparisons could have failed, so none is counted, and the run is not green."""
    judged = check(live(app, make, *(6 * [nothing])))
    assert judged.findings == []
    assert judged.why_nothing == why
    assert bool(judged.counts[STATE_KEPT]) == (not why)
    assert judged.always_ends_early == (why if make is NoField else "")


def test_steps_that_keep_what_is_not_there_prove_nothing(app: App) -> None:
    """No write is ever sent; told with the request whose answer lacks it."""
    wrong = "act:\n  - {get: /notes, keep: {csrf: {field: csrf}}}\n"
    judged = check(live(app, steps(told_steps(STEPS.replace("act:\n", wrong))), *(6 * [nothing])))
    assert judged.why_nothing == "act ended early in 100 % of its calls: no field 'csrf' in GET /notes"
    assert judged.counts[STATE_KEPT] == 0


def test_what_was_answered_otherwise_than_expected_is_not_unknown(app: App) -> None:
    """A form with a wrong field gets 200 with errors: nothing was accepted, and it is no request without an answer."""
    app.answers_a_note = (200, "")
    app.next = "lose"
    told = live(app, steps(told_steps()), *(4 * [lambda: setattr(app, "next", "lose")]))
    assert {one.outcome for one in told if one.kind is Kind.ACT} == {Outcome.REFUSED}
    assert check(told).why_nothing == "act ended early in 100 % of its calls: POST /add answered 200, not 303"
    assert broken(told) == set()


def test_a_page_that_login_begins_on_and_actions_lead_to_is_no_logout(app: App) -> None:
    """Only whoever is asked for a password there is logged out: what follows the redirect says so."""

    class Begins(Writer):
        def log_in(self, http: Http) -> None:
            http.get("/start")
            http.post("/login", form={"user": f"u{self.number}", "token": "t&1"})

    app.answers_a_note = (303, "/start")
    told = live(app, Begins, nothing, nothing)
    assert broken(told) == set()
    assert [len(one.answer["notes"]) for one in states(told)] == [1, 2]


@pytest.mark.parametrize(
    ("home", "saved"), [("/home", "/home"), ("/x.php?id=login", "/x.php?id=home"), ("/x.php?id=home", "/x.php?id=home")]
)
def test_a_session_is_missed_where_the_login_page_is_home_too(app: App, home: str, saved: str) -> None:
    """Also after writes had led there and asked nobody to log in, whether a read or a write meets it first; and every
    page may be one script."""

    class Begins(Writer):
        def log_in(self, http: Http) -> None:
            token = http.get(home).field("token")
            http.post("/login", form={"user": f"u{self.number}", "token": token})

    def lose() -> None:
        app.sessions.clear()

    def lose_before_the_read() -> None:
        app.next = "end"

    app.home, app.answers_a_note = home, (303, saved)
    for losing in (lose, lose_before_the_read):
        app.notes.clear()
        told = live(app, Begins, nothing, nothing, losing, nothing, nothing)
        assert broken(told) == {LOGGED_IN}, losing
        assert sum(one.kind is Kind.LOGIN for one in told) == 2


class ByForm(Writer):
    def log_in(self, http: Http) -> None:
        http.get("/login").form().submit(user=f"u{self.number}", pw=self.password)


def test_a_login_page_in_place_of_what_users_see_is_a_lost_session(app: App) -> None:
    """With 200 and no redirect, whether a write meets it or a read; the write did nothing then."""
    app.shows_login = app.asks_for_users = True
    for losing in (app.sessions.clear, lambda: setattr(app, "next", "end")):
        app.notes.clear()
        told = live(app, ByForm, nothing, nothing, losing, nothing, nothing)
        assert broken(told) == {LOGGED_IN}
        assert sum(one.kind is Kind.LOGIN for one in told) == 2


def test_a_page_of_users_that_asks_for_the_same_is_no_lost_session(app: App) -> None:
    """Such as one to confirm a change on: what `state` got last is still shown."""

    class Confirms(ByForm):
        def act(self, http: Http) -> None:
            super().act(http)
            assert http.get("/confirm").has_password()

    app.asks_for_users = True
    told = live(app, Confirms, nothing, nothing)
    assert broken(told) == set()
    assert len(states(told)) == 2


def test_an_error_in_state_after_it_worked_is_the_apps(app: App) -> None:
    """The app answers with another JSON than before: it shows no state. Before it ever worked it is the journey's."""
    told = live(app, Writer, nothing, lambda: setattr(app, "shows", (200, b'{"error": "oops"}')))
    found = check(told).findings
    assert [one.promise for one in found] == [STATE_KEPT]
    assert "no state was shown: Writer broke: KeyError: 'items'" in states(told)[-1].answer
    app.shows = (200, b"[]")
    with pytest.raises(UsageError, match="broke: TypeError"):
        live(app, Writer, nothing)
