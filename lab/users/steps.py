"""A journey without Python: requests told in a scenario file, with forms, kept values, and what must be read back."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urljoin

import msgspec
import regex

from lab.errors import UsageError
from lab.model import Value
from lab.users.own import Http, UserJourney, statuses
from lab.users.page import Page, Unexpected

_HOLE = re.compile(r"\{(?:any:\s*(?P<any>[^{}]+)|env:\s*(?P<env>\w+)|(?P<name>\w+))\}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_KNOWN = frozenset({"n", "name", "password", "new", "had"})
_METHODS = ("get", "post", "put", "patch", "delete")
_IN_PATH = "/?&=%:;,@+$!*'()~"
"""What stays as it is in a value that is a whole path."""


class Pick(Value):
    """Where a value stands in an answer; exactly one is given."""

    field: str | None = None
    """The form field of this name."""
    json: str | None = None
    """A path in the JSON, such as "cart.0.id"."""
    header: str | None = None
    """A header's value."""
    cookie: str | None = None
    """The value of the cookie of this name, as the browser holds it."""


class HttpStep(Value):
    """One request. `{n}` is the user's number, `{name}` and `{password}` its own, `{new}` a text that is new with each
    action, `{any: tea|cup}` one of these, `{had}` one of the members that the app has acknowledged, and `{csrf}` what
    an earlier step kept under that name. `{env: SHOP_PASSWORD}`, in a body or a header, is what that variable holds,
    or the file that SHOP_PASSWORD_FILE names: it is in no record. A step that says `{had}` is left out while there is
    none. A value at the very beginning of a path may be a path itself; a relative one leads where it does on the
    page that it was kept of."""

    get: str | None = None
    """The path to get."""
    post: str | None = None
    """The path to post to."""
    put: str | None = None
    """The path to put to."""
    patch: str | None = None
    """The path to patch."""
    delete: str | None = None
    """The path to delete."""
    submit: str | None = None
    """The form of the page before to send as a browser does, with hidden fields and defaults: "#id", name or action;
    "" for the first one. `form` fills in fields."""
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
    removes: str | None = None
    """A member that is gone once the app has answered this step, such as "{had}"."""

    @property
    def method(self) -> str:
        """Empty for a step that submits a form."""
        return next((name.upper() for name in _METHODS if getattr(self, name) is not None), "")

    @property
    def target(self) -> str:
        """The path, or the form."""
        return str(next(value for name in (*_METHODS, "submit") if (value := getattr(self, name)) is not None))


class HttpState(Value):
    """What must survive: a list that holds whatever the acknowledged steps added, or its count."""

    get: str
    """The path to read."""
    path: str = ""
    """Where the list stands in the JSON; "items.*.sku" picks one key of each member."""
    in_order: bool = False
    """Whether the order counts."""
    is_count: bool = msgspec.field(default=False, name="count")
    """Whether a number stands there instead: how many there are."""
    begins: Literal["empty", "read"] = "empty"
    """What the account holds before the first action; read: what the app shows then."""


class HttpJourney(Value):
    """How users of an app of one's own log in, act, and read."""

    log_in: tuple[HttpStep, ...]
    """Requests that log a user in; without an error it worked."""
    act: tuple[HttpStep, ...]
    """Requests that one action is made of."""
    state: HttpState
    """What must survive."""
    log_out: tuple[HttpStep, ...] = ()
    """Requests that log this browser out, and no other. Users do it now and then if it is given, and show the session
    that they ended again: whoever is asked must not take it."""
    login_page: str = ""
    """The path that the app redirects to whoever must log in, with a query where that tells it from other pages; if
    not given, the one that `log_in` got before it first posted (or where it began), unless that is "/"."""
    within: float = 0.0
    """Seconds after an action until the state shows its effect, where the app does it in the background."""


def check_journey(journey: HttpJourney) -> None:
    """Raise UsageError, with the key path in `at`, for what types alone can't say."""
    kept = set(_KNOWN)
    for part, steps in (("log_in", journey.log_in), ("act", journey.act), ("log_out", journey.log_out)):
        if not steps and part != "log_out":
            raise UsageError("needs a step at least", at=part, hint="- get: /")
        has_page = False
        for number, step in enumerate(steps):
            at = f"{part}[{number}]"
            _check_step(at, step, kept, has_page=has_page)
            has_page = True
            kept |= step.keep.keys()
    _check_path("state.get", journey.state.get)
    if journey.login_page:
        _check_path("login_page", journey.login_page)
    if journey.within < 0:
        raise UsageError("is under 0", at="within", hint="within: 15")
    if not any(step.adds or step.removes for step in journey.act):
        raise UsageError("no step adds anything, so nothing could be lost", at="act", hint='adds: "{new}"')


def _check_step(at: str, step: HttpStep, kept: set[str], *, has_page: bool) -> None:
    given = [name for name in (*_METHODS, "submit") if getattr(step, name) is not None]
    if len(given) != 1:
        raise UsageError(f"a step is exactly one of {', '.join(_METHODS)}, submit", at=at, hint="- get: /")
    if step.submit is not None and not has_page:
        raise UsageError("no page comes before it whose form it could send", at=at, hint="- get: /login")
    if step.form is not None and step.json is not None:
        raise UsageError("a request has one body: form or json", at=at, hint="leave one of them out")
    if step.submit is None:
        _check_path(f"{at}.{given[0]}", step.target)
    _check_headers(f"{at}.headers", step.headers or {})
    statuses(step.expect, at=f"{at}.expect")
    _check_secrets(at, step)
    for name in _holes((step.target, step.form, step.json, step.headers, step.adds, step.removes)):
        if name not in kept:
            known = ", ".join(sorted(kept))
            raise UsageError(f"nothing is kept as {name!r}", at=at, hint=f"one of: {known}")
    for name, pick in step.keep.items():
        _check_pick(f"{at}.keep.{name}", pick)


def _check_secrets(at: str, step: HttpStep) -> None:
    """What is secret is there, and stands only where no record has it."""
    for key, what in (("path", step.target), ("adds", step.adds), ("removes", step.removes)):
        for name in _secrets(what):
            hint = f"form: {{password: '{{env: {name}}}'}}"
            raise UsageError("a secret would be in the record", at=f"{at}.{key}", hint=hint)
    for name in _secrets((step.form, step.json, step.headers)):
        secret(name, at=at)


def secret(name: str, *, at: str) -> str:
    """What the variable `name` holds, or the first line of the file that `<name>_FILE` names. Raises UsageError."""
    if name in os.environ:
        return os.environ[name]
    file = os.environ.get(f"{name}_FILE")
    if file is None:
        raise UsageError(f"neither {name} nor {name}_FILE is set", at=at, hint=f"export {name}_FILE=password.txt")
    try:
        return Path(file).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, ValueError) as exc:
        raise UsageError(f"{name}_FILE can't be read: {exc}", at=at, hint=f"ls -l {file}") from exc


def _check_path(at: str, path: str) -> None:
    """What is put into a hole is quoted when it is sent, but for a path at the very beginning; the rest must be what a
    request line can hold."""

    def filled(hole: re.Match[str]) -> str:
        drawn = hole["any"].split("|") if hole["any"] else []
        is_path = all(one.strip().startswith("/") for one in drawn) if drawn else hole["name"] not in _KNOWN
        return "/x" if hole.start() == 0 and is_path else "x"

    rest = _HOLE.sub(filled, path)
    if not rest.startswith("/") or not rest.isascii() or not rest.isprintable() or set(rest) & set(" #"):
        raise UsageError(f"{path!r} is not a valid path", at=at, hint="a path such as /cart, with its spaces as %20")


def _check_headers(at: str, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or not value.isascii() or not value.isprintable():
            what = f"{name!r}: {value!r} is not a valid header"
            raise UsageError(what, at=at, hint="printable ASCII in one line")


def _check_pick(at: str, pick: str | Pick) -> None:
    if isinstance(pick, Pick):
        if sum(one is not None for one in (pick.field, pick.json, pick.header, pick.cookie)) != 1:
            raise UsageError(
                "is exactly one of field, json, header, cookie", at=at, hint="{field: csrfmiddlewaretoken}"
            )
        return
    try:
        regex.compile(pick)
    except regex.error as exc:
        raise UsageError(f"is no regular expression: {exc}", at=at, hint="{field: csrfmiddlewaretoken}") from exc


class StepsJourney(UserJourney):
    """Does what a scenario file says."""

    def __init__(self, told: HttpJourney, name: str, number: int, password: str, chance: random.Random) -> None:
        self._told = told  # it says how the account begins
        super().__init__(name, number, password, chance)
        self.login_page, self.within = told.login_page, told.within
        self._kept: dict[str, str] = {}
        self._kept_of: dict[str, str] = {}  # the path of the page that each was found on
        self._drawn: dict[str, str] = {}
        self._page: Page | None = None
        """The last one, whose form may be sent."""
        self.step_under_way = ""
        """Which step of the scenario file is being done: "log_in[0]"."""

    def begin(self) -> dict[str, Any] | None:
        if self._told.state.begins == "read":
            return None
        return {"count": 0} if self._told.state.is_count else {"acknowledged": []}

    def log_in(self, http: Http) -> None:
        self._kept, self._kept_of, self._page = {}, {}, None
        for number, step in enumerate(self._told.log_in):
            self.step_under_way = f"log_in[{number}]"
            self._do(http, step)

    def log_out(self, http: Http) -> None:
        self._page = None
        for number, step in enumerate(self._told.log_out):
            self.step_under_way = f"log_out[{number}]"
            self._do(http, step)

    @property
    def can_log_out(self) -> bool:
        return bool(self._told.log_out)

    def act(self, http: Http) -> None:
        self._drawn = {"new": self.unique()}
        self._page = None
        had = self._members
        if had:
            self._drawn["had"] = str(self.random.choice(had))
        for number, step in enumerate(self._told.act):
            self.step_under_way = f"act[{number}]"
            if not had and "had" in _holes((step.target, step.form, step.json, step.headers, step.removes)):
                continue
            self._do(http, step)
            self._note(step)

    def state(self, http: Http) -> Any:
        asked = self._told.state
        self.step_under_way = "state"
        page = http.get(self._fill_path(asked.get))
        if asked.is_count:
            return {"count": page.pick(asked.path)}
        found = list(page.pick_all(asked.path))
        if not asked.path.count("*"):
            if len(found) != 1 or not isinstance(found[0], list):
                raise Unexpected(f"no list at {asked.path!r} in {page.asked}")
            found = found[0]
        return {"acknowledged": self._arranged(found)}

    def _do(self, http: Http, step: HttpStep) -> None:
        filled: dict[str, Any] = {
            "expect": step.expect,
            "once": step.once,
            "headers": self._fill_all(step.headers),
        }
        if step.submit is not None:
            assert self._page is not None  # noqa: S101 -- `check_journey` saw to it
            form = self._page.form(self._fill(step.submit) or None)
            page = form.submit(self._fill_all(step.form), **filled)
        else:
            body = {"form": self._fill_all(step.form), "json": self._fill_all(step.json)}
            page = http.ask(step.method, self._fill_path(step.target), **body, **filled)
        self._page = page
        for name, pick in step.keep.items():
            self._kept[name], self._kept_of[name] = _picked(page, pick, http), page.path

    @property
    def _members(self) -> list[Any]:
        """Those that the app has acknowledged; of a count none is known by itself."""
        return [] if self._told.state.is_count else list(self.model["acknowledged"])

    def _note(self, step: HttpStep) -> None:
        """The app has answered this step."""
        if self._told.state.is_count:
            self.model["count"] += (step.adds is not None) - (step.removes is not None)
            return
        members = self._members
        if step.removes is not None:
            removed = self._fill(step.removes)
            members = [one for one in members if str(one) != removed]
        if step.adds is not None:
            members.append(self._fill(step.adds))
        self.model["acknowledged"] = self._arranged(members)

    def _arranged(self, members: Sequence[Any]) -> list[Any]:
        if self._told.state.in_order:
            return list(members)
        return sorted(members, key=lambda one: msgspec.json.encode(one, order="sorted"))

    def _fill(self, text: str) -> str:
        return _HOLE.sub(self._put, text)

    def _fill_path(self, path: str) -> str:
        """Values are quoted, but for one at the very beginning: that is a path or an address itself, and a relative one
        leads where it does on its page.
        """

        def put(hole: re.Match[str]) -> str:
            value = self._put(hole)
            if hole.start():
                return quote(value, safe="")
            return urljoin(self._kept_of.get(hole["name"] or "", "/"), quote(value, safe=_IN_PATH))

        return _HOLE.sub(put, path)

    def _put(self, hole: re.Match[str]) -> str:
        if hole["env"]:
            return secret(hole["env"], at=f"{{env: {hole['env']}}}")
        return self._one_of(hole["any"]) if hole["any"] else self._known(hole["name"])

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
    yield from (hole["name"] for hole in _all_holes(what) if hole["name"])


def _secrets(what: Any) -> Iterator[str]:
    yield from (hole["env"] for hole in _all_holes(what) if hole["env"])


def _all_holes(what: Any) -> Iterator[re.Match[str]]:
    if isinstance(what, str):
        yield from _HOLE.finditer(what)
    elif isinstance(what, Mapping):
        for value in what.values():
            yield from _all_holes(value)
    elif isinstance(what, list | tuple):
        for one in what:
            yield from _all_holes(one)


def _picked(page: Page, pick: str | Pick, http: Http) -> str:
    if isinstance(pick, str):
        return page.find(pick)
    if pick.field is not None:
        return page.field(pick.field)
    if pick.header is not None:
        return page.header(pick.header)
    if pick.cookie is None:
        return str(page.pick(pick.json or ""))
    value = http.cookies.get(pick.cookie)
    if value is None:
        raise Unexpected(f"no cookie {pick.cookie!r} after {page.asked}")
    return value
