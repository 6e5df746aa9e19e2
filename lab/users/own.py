"""The users of an app of one's own: a journey in plain Python, one method each to log in, to act and to read."""

from __future__ import annotations

import random
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from html import unescape
from html.parser import HTMLParser
from string import punctuation
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urljoin, urlsplit

import msgspec

from lab.errors import UsageError
from lab.model import TRIED_AGAIN
from lab.users.meaning import REDIRECTS, path_of
from lab.users.request import FORM, JSON, Content

MOST_REDIRECTS = 5

_NO_BODY = frozenset({"HEAD", "CONNECT"})

Expect = int | Collection[int] | None


class Unexpected(Exception):
    """The app did not answer as expected: what the journey was doing ends here, and its model stays as it was."""


class LoggedOut(Unexpected):
    """The app sent the user to its login page."""


class Page:
    """One answer of the app, after the redirects that were followed."""

    def __init__(self, status: int, headers: Mapping[bytes, bytes], body: bytes, path: str) -> None:
        self.status, self.path, self.body = status, path, body
        self._headers = headers

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")

    def header(self, name: str) -> str:
        """A header's value, empty where it is not there."""
        return self._headers.get(name.lower().encode(), b"").decode("latin-1")

    def json(self) -> Any:
        """The decoded body. Raises Unexpected where it is no JSON."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError as exc:
            raise Unexpected(f"{self.path} answered {self.status} with no JSON: {self.text[:60]!r}") from exc

    def field(self, name: str) -> str:
        """The value of the form field of this name, such as a CSRF token. Raises Unexpected where there is none."""
        found = _Fields(self.text).values.get(name)
        if found is None:
            raise Unexpected(f"{self.path} has no form field {name!r}")
        return found

    def find(self, pattern: str) -> str:
        """What the first group of a regular expression matches. Raises Unexpected where nothing does."""
        found = re.search(pattern, self.text)
        if found is None:
            raise Unexpected(f"{self.path} holds nothing like {pattern!r}")
        return unescape(found[1] if found.re.groups else found[0])


class _Fields(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        name = told.get("name") or ""
        if tag in {"input", "button", "meta"} and name:
            self.values.setdefault(name, told.get("value") or told.get("content") or "")


class RequestSpec(NamedTuple):
    """One request that the journey wants done."""

    method: str
    path: str
    content: Content
    once: bool
    expected: frozenset[int] | None
    """None: any 2xx, and redirects."""


class StepAnswer(NamedTuple):
    """What came of it: `page` is None where nobody knows whether it took effect."""

    page: Page | None
    is_accepted: bool
    is_logged_out: bool


class Http:
    """What a journey talks to its app with: one browser, with cookies, and redirects followed.

    `expect` names the statuses that count as success; then nothing is followed. Without it any 2xx does, and
    redirects within the app are followed. Anything else raises Unexpected, which a journey may leave alone: what it
    was doing is then over, and its model unchanged. A 4xx that is not expected of what a logged-in user does breaks
    the promise `tries`, so name in `expect` what the app may well answer, as 409 where somebody else was quicker.

    `once=True` says that the app applies requests with the same Idempotency-Key header once, or that doing it
    twice changes nothing: only then is a request that may have taken effect sent again.
    """

    def __init__(self, do: Callable[[RequestSpec], StepAnswer], origin: str) -> None:
        self._do, self._origin = do, origin

    def get(self, path: str, *, expect: Expect = None, headers: Mapping[str, str] | None = None) -> Page:
        """Read. Always repeated where no answer came."""
        return self.ask("GET", path, expect=expect, headers=headers, once=True)

    def post(
        self,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        expect: Expect = None,
        once: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """Change something, with a form or JSON as the body."""
        return self.ask("POST", path, form=form, json=json, expect=expect, once=once, headers=headers)

    def ask(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        expect: Expect = None,
        once: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """Any method but HEAD and CONNECT, after whose answers there is no body to wait for.

        Raises UsageError for those, and where `expect` holds a status after which users try again.
        """
        if method in _NO_BODY:
            raise UsageError("can't be asked", at=f"{method} {path}", hint=f"http.get({path!r})")
        expected = statuses(expect, at=f"{method} {path}")
        body, kind = b"", ""
        if form is not None:
            body, kind = urlencode(form).encode(), FORM
        elif json is not None:
            body, kind = msgspec.json.encode(json), JSON
        content = Content(body=body, kind=kind, headers=_checked(headers or {}))
        asked = RequestSpec(method, path, content, once, expected)
        for _ in range(MOST_REDIRECTS + 1):
            page = self._once(asked)
            where = page.header("location")
            if asked.expected is not None or page.status not in REDIRECTS or not where:
                return page
            is_got = page.status == 303 or (page.status in {301, 302} and asked.method == "POST")  # as browsers do
            follow = "GET" if is_got else asked.method
            again = Content(headers=content.headers) if follow == "GET" else content
            asked = RequestSpec(follow, self._inside(asked.path, where), again, follow == "GET" or once, expected)
        raise Unexpected(f"{path} redirects more than {MOST_REDIRECTS} times")

    def _once(self, asked: RequestSpec) -> Page:
        told = self._do(asked)
        if told.is_logged_out:
            raise LoggedOut(f"{asked.method} {asked.path}: the app asked to log in again")
        if told.page is None:
            raise Unexpected(f"{asked.method} {asked.path} was not answered")
        if not told.is_accepted:
            raise Unexpected(f"{asked.method} {asked.path} answered {told.page.status}, not {_words(asked.expected)}")
        return told.page

    def _inside(self, path: str, where: str) -> str:
        """The path that a redirect leads to, within the app."""
        try:
            target = urlsplit(urljoin(self._origin + path, quote(where.encode("latin-1"), safe=punctuation)))
        except ValueError as exc:
            raise Unexpected(f"{path} redirects to no address: {where!r}") from exc
        if target.netloc != urlsplit(self._origin).netloc:
            raise Unexpected(f"{path} redirects to another host: {target.netloc}")
        return (target.path or "/") + (f"?{target.query}" if target.query else "")


class UserJourney(ABC):
    """One user of your app: how to log in, what to do, and what must survive. Subclass it, in your own file.

    Each method runs in a thread of its own user and may block. Chance is `self.random` alone, so that a seed repeats
    a run. `self.model` holds what the app has acknowledged, as plain data; change it after the request that the app
    answered. Where nobody knows whether a request took effect, `act` goes on as if it had, on a copy, and the
    next `state` may show either.
    """

    login_page = ""
    """The path that the app redirects to whoever must log in. If empty, the one that `log_in` got before it first
    posted (or where it began), unless that is "/": apps redirect home after an action, too."""

    def __init__(self, name: str, number: int, password: str, chance: random.Random) -> None:
        self.name, self.number, self.password, self.random = name, number, password, chance
        self.model: dict[str, Any] = self.begin()
        self._keys = 0

    def begin(self) -> dict[str, Any]:
        """The state of an account that has done nothing yet."""
        return {}

    def unique(self) -> str:
        """A text that no other user has and that this one never had before."""
        self._keys += 1
        return f"{self.name}.{self._keys}"

    @abstractmethod
    def log_in(self, http: Http) -> None:
        """Log in; returning means that it worked."""

    @abstractmethod
    def act(self, http: Http) -> None:
        """Do one thing, and write into `self.model` what it changed."""

    @abstractmethod
    def state(self, http: Http) -> Any:
        """Read what must survive, by GETs alone; it is compared with `self.model`."""

    def is_logged_out(self, page: Page, login_path: str) -> bool:
        """Whether this answer means that the session is gone: 401, or a redirect to the login page.

        `login_path` is that page, empty where it isn't known; see `login_page`.
        """
        sent_to = path_of(page.header("location")) if page.status in REDIRECTS else ""
        return page.status == 401 or bool(login_path and sent_to == login_path)


def statuses(expect: Expect, *, at: str) -> frozenset[int] | None:
    """Those that count as success. Raises UsageError for one after which users try again: it is never the last word."""
    expected = None if expect is None else frozenset({expect} if isinstance(expect, int) else expect)
    for one in sorted(expected or ()):
        if str(one) in TRIED_AGAIN:
            raise UsageError(f"{one} is no success: users try again after it", at=at, hint="expect 4xx or less")
    return expected


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not (name + value).isascii() or not (name + value).isprintable():
            raise UsageError("is not a header that can be sent", at=f"{name}: {value!r}")
    return headers


def _words(expected: frozenset[int] | None) -> str:
    return "2xx" if expected is None else " or ".join(str(one) for one in sorted(expected))
