"""Journeys as people write them: forms, uploads, cookies, JSON, several requests at once, effects that come later."""

from __future__ import annotations

import gzip
import random
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from lab.errors import UsageError, WaitTimeout
from lab.model import Kind, Operation
from lab.oracle import check
from lab.oracle.promises import STATE_KEPT
from lab.retry import wait_until
from lab.users import Crowd, CrowdSize
from lab.users.forms import File
from lab.users.loading import OwnUsers
from lab.users.own import Http, UserJourney
from lab.users.page import Unexpected
from lab.users.steps import HttpJourney, check_journey
from tests.unit.users.foreign_app import App, broken, live, nothing, served, states, steps

EDIT = """<form id=edit action=save method=post enctype=multipart/form-data>
<input type=hidden name=csrf value=c1><select name=kind><option>a<option selected>b</select>
<input type=file name=doc></form>"""

LINKS = r'{"up": "../things/made", "next": "?page=2", "beside": "list?a=1&b=\u00fc"}'
DOCS = {"/docs/edit": EDIT, "/docs/list": LINKS}


class Site(App):
    """Things by id, in JSON; a form with an upload; cookies; compressed and large answers."""

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = Talk
        self.things: list[str] = ["seed"]
        self.late: list[str] = []
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self.kinds: list[str] = []
        self.origins: list[str | None] = []
        self.together = threading.Barrier(3)


class Talk(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _do(self) -> None:
        site, path = self.server, urlsplit(self.path).path
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        site.asked.append(f"{self.command} {self.path}")
        if self.command != "GET":
            site.bodies.append(body)
            site.kinds.append(self.headers["Content-Type"] or "")
            site.origins.append(self.headers["Origin"])
        if path == "/in":
            self._say(200, b"", **{"Set-Cookie": "XSRF-TOKEN=x%3D1; Domain=shop.example; Path=/"})
        elif path in DOCS:
            self._say(200, DOCS[path].encode())
        elif path == "/docs/save":
            site.things.append("doc")
            self._say(200, b"{}")
        elif path == "/packed":
            self._say(200, gzip.compress(b"packed " * 300_000), **{"Content-Encoding": "gzip"})
        elif path == "/torn":
            self._say(200, gzip.compress(b"packed")[:-9], **{"Content-Encoding": "gzip"})
        elif path == "/meet":
            site.together.wait(5)
            self._say(200, (self.headers["Cookie"] or "").encode())
        elif path == "/things" and self.command == "GET":
            site.things += [site.late.pop(0)] if site.late and site.asked.count(f"GET {self.path}") % 3 == 0 else []
            self._say(200, msgspec.json.encode({"things": [{"id": one} for one in site.things], "n": len(site.things)}))
        elif path == "/things":
            site.things.append(msgspec.json.decode(body)["id"])
            self._say(201, b'{"href": "/things/made"}')
        elif path == "/queue":
            site.late.append(parse_qs(body.decode())["id"][0])
            self._say(202, b"")
        elif self.command == "DELETE":
            site.things.remove(path.rpartition("/")[2])
            self._say(204, b"")
        else:
            self._say(200 if self.command in {"PUT", "PATCH"} or path == "/things/made" else 404, b"{}")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do  # noqa: N815 -- as the server calls them

    def _say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("X-Replica", self.server.replicas(self.command))
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def site() -> Iterator[Site]:
    with served(Site()) as server:
        yield server


class Visitor(UserJourney):
    """Begins with what the app shows, and does what a test says."""

    def begin(self) -> Any:
        return None

    def log_in(self, http: Http) -> None:
        http.get("/in")

    def act(self, http: Http) -> None:
        """As the test says."""

    def state(self, http: Http) -> Any:
        return [one for one in http.get("/things").pick_all("things.*.id") if one != "made"]


def doing(act: Callable[[Any, Http], object], **more: Any) -> type[Visitor]:
    return type("Doing", (Visitor,), {"act": act, **more})


def nothing_at_all(_: Visitor, _http: Http) -> None:
    """The action of a user who is idle."""


def test_a_state_may_begin_as_the_app_shows_it(site: Site) -> None:
    """Accounts that were there before have something; what is lost of it is found."""

    def lose() -> None:
        site.things.clear()

    told = live(site, doing(nothing_at_all), nothing, lose)
    assert [one.allowed for one in states(told)] == [None, (["seed"],), (["seed"],)]
    assert broken(told) == {STATE_KEPT}


def test_a_form_is_sent_as_a_browser_does(site: Site) -> None:
    """To its own address, with hidden fields and the selected option, a file as it is, and the page's own origin."""

    def act(user: Visitor, http: Http) -> None:
        http.get("/docs/edit").form("#edit").submit(doc=File("a.bin", b"\x00\xff", "image/png"))
        user.model.append("doc")

    told = live(site, doing(act), nothing, nothing)
    assert broken(told) == set()
    assert site.asked.count("POST /docs/save") == 2
    assert site.kinds[0].startswith("multipart/form-data; boundary=")
    assert site.origins[0] == f"http://127.0.0.1:{site.target.port}"
    for part in (
        b'name="csrf"\r\n\r\nc1\r\n',
        b'name="kind"\r\n\r\nb\r\n',
        b'filename="a.bin"',
        b"\r\n\r\n\x00\xff\r\n",
    ):
        assert part in site.bodies[0]


def test_what_a_form_lacks_ends_the_action(site: Site) -> None:
    """With the form and the page in the reason."""

    def act(_: Visitor, http: Http) -> None:
        page = http.get("/docs/edit")
        with pytest.raises(Unexpected, match="no form '#no' in GET /docs/edit"):
            page.form("#no")
        page.form().submit(nobody="x")

    told = live(site, doing(act), nothing)
    assert states(told)[-1].ended_early == "no control 'nobody' in the form 'save' of GET /docs/edit"


def test_cookies_are_kept_for_the_apps_own_domain_and_can_be_read(site: Site) -> None:
    """As apps want that read a token from a cookie and send it as a header."""
    seen: list[dict[str, str]] = []

    def act(_: Visitor, http: Http) -> None:
        seen.append(http.cookies)

    live(site, doing(act), nothing)
    assert seen == [{"XSRF-TOKEN": "x%3D1"}]


def test_large_and_compressed_answers_are_read(site: Site) -> None:
    """Over a MiB; one that is torn is no answer."""

    def act(_: Visitor, http: Http) -> None:
        assert len(http.get("/packed").text) == 2_100_000
        with pytest.raises(Unexpected, match="cut or too long"):
            http.get("/torn").find("packed")
        http.post("/things", json={"id": "big", "filling": "x" * (2 << 20)})

    told = live(site, doing(act), nothing)
    assert states(told)[-1].ended_early == ""
    assert len(site.bodies[-1]) > 2 << 20


def test_several_requests_at_once_carry_the_same_cookies(site: Site) -> None:
    """All are under way before any is answered; each is an operation of its own."""
    said: list[str] = []

    def act(_: Visitor, http: Http) -> None:
        said.extend(
            page.text for page in http.together("/meet", ("GET", "/meet?2"), {"method": "get", "path": "/meet?3"})
        )

    told = live(site, doing(act), nothing, nothing)
    assert said == ["XSRF-TOKEN=x%3D1"] * 6
    assert sum(str(one.argument).startswith("GET /meet") for one in told) == 6
    assert len({one.id for one in told}) == len(told)
    assert not check(told).findings


def test_an_unexpected_answer_of_several_ends_the_action(site: Site) -> None:
    """When all have ended."""
    told = live(site, doing(lambda _, http: http.together("/nowhere", "/things")), nothing)
    assert states(told)[-1].ended_early == "GET /nowhere answered 404, not 2xx"


def queue(user: Visitor, http: Http) -> None:
    new = user.unique()
    http.post("/queue", form={"id": new})
    user.model.append(new)


def test_an_effect_may_come_within_some_seconds(site: Site) -> None:
    """The state is read again until it shows it; without such a word it is lost."""
    assert broken(live(site, doing(queue, within=5.0), nothing, nothing)) == set()
    assert broken(live(site, doing(queue), nothing, nothing)) == {STATE_KEPT}


def test_an_effect_that_never_comes_is_lost_in_the_end(site: Site) -> None:
    """And the record holds one comparison of it."""

    def lost(user: Visitor, http: Http) -> None:
        queue(user, http)
        site.late.clear()

    told = live(site, doing(lost, within=0.6), nothing)
    assert broken(told) == {STATE_KEPT}
    assert len(states(told)) == 2
    assert site.asked.count("GET /things") > 3


def test_a_story_names_the_request(site: Site) -> None:
    """The method and the path of each, where it led to, and who answered."""
    told = live(site, doing(lambda _, http: http.delete("/things/seed")), nothing)
    act = next(one for one in told if one.kind is Kind.ACT)
    assert (act.argument, act.final.replica) == ("DELETE /things/seed", "a1-1")


STEPS = """
log_in:
  - {get: /in, keep: {token: {cookie: XSRF-TOKEN}}}
act:
  - {post: /things, json: {id: "{new}"}, headers: {X-XSRF-TOKEN: "{token}"}, keep: {href: {json: href}}, adds: "{new}"}
  - {get: "{href}?a=1"}
  - {put: "/things/{had}", json: {n: 1}}
  - {delete: "/things/{had}", removes: "{had}"}
  - {get: /docs/edit}
  - {submit: "#edit", form: {kind: a}, adds: doc}
state: {get: /things, path: "things.*.id", begins: read}
"""


def told_steps(text: str) -> HttpJourney:
    """As a scenario file is read."""
    told = msgspec.yaml.decode(text, type=HttpJourney)
    check_journey(told)
    return told


@pytest.mark.slow
def test_steps_can_do_what_python_can(site: Site) -> None:
    """All methods, removal, a path and a cookie that were kept, a form as a browser sends it, what was there before."""
    told = live(site, steps(told_steps(STEPS)), nothing, nothing)
    assert broken(told) == set()
    assert site.asked.count("GET /things/made?a=1") == 2
    assert "DELETE /things/seed" in site.asked
    assert b'name="kind"\r\n\r\na\r\n' in site.bodies[-1]
    assert check(told).counts[STATE_KEPT] == 2

    def lose() -> None:
        site.things.pop()

    only = STEPS.replace("  - {delete", "  #")  # which may draw the very one that was lost
    assert broken(live(site, steps(told_steps(only)), nothing, lose)) == {STATE_KEPT}


def test_a_kept_link_leads_where_it_does_on_its_page(site: Site) -> None:
    """Relative or not, as in a browser."""
    act = """
  - {get: /docs/list?page=1, keep: {up: {json: up}, next: {json: next}, beside: {json: beside}}}
  - {get: "{up}"}
  - {get: "{next}"}
  - {get: "{beside}&c={n}"}
"""
    told = live(site, steps(told_steps(STEPS.replace("act:\n", f"act:{act}"))), nothing)
    assert broken(told) == set()
    asked = ["GET /docs/list?page=1", "GET /things/made", "GET /docs/list?page=2", "GET /docs/list?a=1&b=%C3%BC&c="]
    first = site.asked.index(asked[0])
    assert [one.partition("&c=")[0] for one in site.asked[first : first + 4]] == [*asked[:3], asked[3][:-3]]


def test_steps_may_count(site: Site) -> None:
    """Where the app shows a number alone."""
    text = (
        STEPS.replace('path: "things.*.id"', "path: n, count: true").replace("/{had}", "/seed").replace("{had}", "seed")
    )
    only = text.replace("  - {put", "  #").replace("  - {delete", "  #")
    told = live(site, steps(told_steps(only)), nothing, nothing)
    assert [one.answer for one in states(told)] == [{"count": 1}, {"count": 3}, {"count": 5}]
    assert broken(told) == set()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("  - {submit: '#edit'}\n", r"act\[0\]"),
        ("  - {get: /in, put: /in}\n", r"act\[0\]"),
        ("  - {delete: '/things/{hadd}'}\n", r"act\[0\]"),
    ],
)
def test_steps_that_can_not_be_done_are_refused(text: str, at: str) -> None:
    """Before anything is started."""
    from lab.users.steps import check_journey

    with pytest.raises(UsageError, match=f"^{at}: "):
        check_journey(told_steps(STEPS.replace("act:\n", "act:\n" + text)))


def both_devices(site: Site, make: type[UserJourney], *, turns: int, think: float) -> list[Any]:
    """Two devices of an account act at the same time, so many times each, and read back."""
    told: list[Any] = []
    with Crowd(
        [site.target],
        CrowdSize(users=1, two_devices=1.0, think=think),
        chance=random.Random(3),
        on_operation=told.append,
        journey=OwnUsers(make, f"http://127.0.0.1:{site.target.port}"),
    ) as crowd:
        crowd.log_in(10)
        crowd.shop()
        wait_until("both have acted", lambda: len(states(told)) >= turns, within=20, every=0.01)
        crowd.settle(10)
        assert crowd.read_back(10) == ""
    return told


class Together(Visitor):
    def act(self, http: Http) -> None:
        new = self.unique()
        http.post("/things", json={"id": new})
        self.model.append(new)


@pytest.mark.slow
def test_two_devices_of_an_account_share_its_model(site: Site) -> None:
    """What either did must be shown to both, and what is lost of it is found; nothing that was well is."""
    told = both_devices(site, Together, turns=60, think=0.04)
    assert {one.device for one in told} == {"user-001.1", "user-001.2"}
    acted = [one for one in told if one.kind is Kind.ACT]
    assert any(a.device != b.device and a.begin < b.end and b.begin < a.end for a in acted for b in acted)
    judged = check(told)
    assert judged.findings == []
    assert judged.counts[STATE_KEPT] > 20
    assert {len(one.answer) if isinstance(one.answer, list) else 0 for one in states(told)[-2:]} <= {0, len(acted) + 1}


@pytest.mark.slow
def test_what_is_lost_on_two_devices_is_found(site: Site) -> None:
    """An app that overwrites what the other device wrote at the same time."""

    class Losing(Together):
        def act(self, http: Http) -> None:
            super().act(http)
            if len(site.things) >= 20 and "user-001.3" in site.things:
                site.things.remove("user-001.3")

    assert {one.promise for one in check(both_devices(site, Losing, turns=60, think=0.1)).findings} == {STATE_KEPT}


def test_a_login_that_fails_tells_who_answered_what(site: Site) -> None:
    """As where the form came from one replica and another one refused it."""

    class Stranger(Visitor):
        def log_in(self, http: Http) -> None:
            http.get("/docs/edit")
            http.post("/nowhere", form={"name": self.name})

    size = CrowdSize(users=1, two_devices=0.0, think=0.01)
    journey = OwnUsers(Stranger, f"http://127.0.0.1:{site.target.port}")
    told: list[Operation] = []
    with (
        Crowd([site.target], size, chance=random.Random(3), on_operation=told.append, journey=journey) as crowd,
        pytest.raises(WaitTimeout) as raised,
    ):
        crowd.log_in(0.5)
    assert "POST /nowhere answered 404, not 2xx (GET /docs/edit -> 200 by b1-2, POST /nowhere -> 404 by a1-1)" in str(
        raised.value
    )
    assert not raised.value.hint
