"""A journey without Python: requests told in a scenario file, with forms, kept values, and what must be read back."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from lab.errors import UsageError
from lab.model import Value
from lab.users.own import Http, Page, Unexpected, UserJourney, statuses

_HOLE = re.compile(r"\{(?:any:\s*(?P<any>[^{}]+)|(?P<name>\w+))\}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_KNOWN = frozenset({"n", "name", "password", "new"})


class Pick(Value):
    """Where a value stands in an answer; exactly one is given."""

    field: str | None = None
    """The form field of this name."""
    json: str | None = None
    """A path in the JSON, such as "cart.0.id"."""
    header: str | None = None
    """A header's value."""


class HttpStep(Value):
    """One request. `{n}` is the user's number, `{name}` and `{password}` its own, `{new}` a text that is new with each
    action, `{any: tea|cup}` one of these, and `{csrf}` what an earlier step kept under that name."""

    get: str | None = None
    """The path to get."""
    post: str | None = None
    """The path to post to."""
    form: dict[str, str] | None = None
    """Fields of a form, as the body."""
    json: Any = None
    """JSON as the body."""
    headers: dict[str, str] | None = None
    """Further headers."""
    expect: int | tuple[int, ...] | None = None
    """The status, or statuses, that count as success; any 2xx and redirects if not given. None after which users try
    again: 500, 502, 503, 504."""
    once: bool = False
    """Whether the app applies an Idempotency-Key once; what is not is never sent twice."""
    keep: dict[str, str | Pick] = msgspec.field(default_factory=dict)
    """Values of the answer to use later, each by a regular expression's first group or a Pick."""
    adds: str | None = None
    """What the app has acknowledged once it has answered this step: a member of the list that the state shows."""


class HttpState(Value):
    """What must survive: a list that holds whatever the acknowledged steps added."""

    get: str
    """The path to read."""
    path: str = ""
    """Where the list stands in the JSON; "items.*.sku" picks one key of each member."""
    in_order: bool = False
    """Whether the order counts."""


class HttpJourney(Value):
    """How users of an app of one's own log in, act, and read."""

    log_in: tuple[HttpStep, ...]
    """Requests that log a user in; without an error it worked."""
    act: tuple[HttpStep, ...]
    """Requests that one action is made of."""
    state: HttpState
    """What must survive."""
    login_page: str = ""
    """The path that the app redirects to whoever must log in; if not given, the one that `log_in` got before it first
    posted (or where it began), unless that is "/"."""


def check_journey(journey: HttpJourney) -> None:
    """Raise UsageError, with the key path in `at`, for what types alone can't say."""
    kept = set(_KNOWN)
    for part, steps in (("log_in", journey.log_in), ("act", journey.act)):
        if not steps:
            raise UsageError("needs a step at least", at=part, hint="- get: /")
        for number, step in enumerate(steps):
            at = f"{part}[{number}]"
            if (step.get is None) == (step.post is None):
                raise UsageError("a step is either a get or a post", at=at, hint="- get: /")
            _check_path(f"{at}.{'get' if step.get is not None else 'post'}", step.get or step.post or "")
            _check_headers(f"{at}.headers", step.headers or {})
            statuses(step.expect, at=f"{at}.expect")
            for name in _holes((step.get, step.post, step.form, step.json, step.headers, step.adds)):
                if name not in kept:
                    known = ", ".join(sorted(kept))
                    raise UsageError(f"nothing is kept as {name!r}", at=at, hint=f"one of: {known}")
            for name, pick in step.keep.items():
                _check_pick(f"{at}.keep.{name}", pick)
            kept |= step.keep.keys()
    _check_path("state.get", journey.state.get)
    if journey.login_page:
        _check_path("login_page", journey.login_page)
    if not any(step.adds for step in journey.act):
        raise UsageError("no step adds anything, so nothing could be lost", at="act", hint='adds: "{new}"')


def _check_path(at: str, path: str) -> None:
    """What is put into a hole is quoted when it is sent; the rest must be what a request line can hold."""
    rest = _HOLE.sub("x", path)
    if not rest.startswith("/") or not rest.isascii() or not rest.isprintable() or " " in rest:
        raise UsageError(f"{path!r} is not a valid path", at=at, hint="a path such as /cart, with its spaces as %20")


def _check_headers(at: str, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or not value.isascii() or not value.isprintable():
            what = f"{name!r}: {value!r} is not a valid header"
            raise UsageError(what, at=at, hint="printable ASCII in one line")


def _check_pick(at: str, pick: str | Pick) -> None:
    if isinstance(pick, Pick):
        if sum(one is not None for one in (pick.field, pick.json, pick.header)) != 1:
            raise UsageError("is exactly one of field, json, header", at=at, hint="{field: csrfmiddlewaretoken}")
        return
    try:
        re.compile(pick)
    except re.error as exc:
        raise UsageError(f"is no regular expression: {exc}", at=at, hint="{field: csrfmiddlewaretoken}") from exc


class StepsJourney(UserJourney):
    """Does what a scenario file says."""

    def __init__(self, told: HttpJourney, name: str, number: int, password: str, chance: random.Random) -> None:
        super().__init__(name, number, password, chance)
        self._told = told
        self.login_page = told.login_page
        self._kept: dict[str, str] = {}
        self._drawn: dict[str, str] = {}

    def begin(self) -> dict[str, Any]:
        return {"acknowledged": []}

    def log_in(self, http: Http) -> None:
        self._kept = {}
        for step in self._told.log_in:
            self._do(http, step)

    def act(self, http: Http) -> None:
        self._drawn = {"new": self.unique()}
        for step in self._told.act:
            self._do(http, step)
            if step.adds is not None:
                self.model["acknowledged"] = self._arranged([*self.model["acknowledged"], self._fill(step.adds)])

    def state(self, http: Http) -> Any:
        asked = self._told.state
        found = list(_walk(http.get(self._fill(asked.get, quoted=True)).json(), asked.path))
        if not asked.path.count("*"):
            if len(found) != 1 or not isinstance(found[0], list):
                raise Unexpected(f"{asked.get} holds no list at {asked.path!r}")
            found = found[0]
        return {"acknowledged": self._arranged(found)}

    def _do(self, http: Http, step: HttpStep) -> None:
        method, path = ("GET", step.get) if step.get is not None else ("POST", step.post or "/")
        page = http.ask(
            method,
            self._fill(path, quoted=True),
            form=self._fill_all(step.form),
            json=self._fill_all(step.json),
            expect=step.expect,
            once=step.once or method == "GET",
            headers=self._fill_all(step.headers),
        )
        for name, pick in step.keep.items():
            self._kept[name] = _picked(page, pick)

    def _arranged(self, members: Sequence[Any]) -> list[Any]:
        if self._told.state.in_order:
            return list(members)
        return sorted(members, key=lambda one: msgspec.json.encode(one, order="sorted"))

    def _fill(self, text: str, *, quoted: bool = False) -> str:
        def put(hole: re.Match[str]) -> str:
            value = self._one_of(hole["any"]) if hole["any"] else self._known(hole["name"])
            return quote(value, safe="") if quoted else value

        return _HOLE.sub(put, text)

    def _fill_all(self, what: Any) -> Any:
        if isinstance(what, str):
            return self._fill(what)
        if isinstance(what, Mapping):
            return {key: self._fill_all(value) for key, value in what.items()}
        return [self._fill_all(one) for one in what] if isinstance(what, list) else what

    def _known(self, name: str) -> str:
        own = {"n": str(self.number), "name": self.name, "password": self.password}
        return (own | self._kept | self._drawn)[name]

    def _one_of(self, choices: str) -> str:
        """The same for the same choices, until the next action."""
        if choices not in self._drawn:
            self._drawn[choices] = self.random.choice([one.strip() for one in choices.split("|")])
        return self._drawn[choices]


def _holes(what: Any) -> Iterator[str]:
    if isinstance(what, str):
        yield from (hole["name"] for hole in _HOLE.finditer(what) if hole["name"])
    elif isinstance(what, Mapping):
        for value in what.values():
            yield from _holes(value)
    elif isinstance(what, list | tuple):
        for one in what:
            yield from _holes(one)


def _picked(page: Page, pick: str | Pick) -> str:
    if isinstance(pick, str):
        return page.find(pick)
    if pick.field is not None:
        return page.field(pick.field)
    if pick.header is not None:
        return page.header(pick.header)
    found = list(_walk(page.json(), pick.json or ""))
    if len(found) != 1:
        raise Unexpected(f"{page.path} has no {pick.json!r}")
    return str(found[0])


def _walk(said: Any, path: str) -> Iterator[Any]:
    """What stands at a path of keys, places and `*`. Raises Unexpected where the answer has another shape."""
    here = [said]
    for key in filter(None, path.split(".")):
        below: list[Any] = []
        for one in here:
            if key == "*" and isinstance(one, list):
                below += one
            elif isinstance(one, dict) and key in one:
                below.append(one[key])
            elif isinstance(one, list) and key.isdigit() and int(key) < len(one):
                below.append(one[int(key)])
            else:
                raise Unexpected(f"the JSON has no {path!r}")
        here = below
    yield from here
