"""The users of an app of one's own: a journey in plain Python, one method each to log in, to act and to read."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from string import punctuation
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

import msgspec

from lab.errors import UsageError
from lab.model import TRIED_AGAIN
from lab.users.meaning import REDIRECTS
from lab.users.page import LoggedOut, Page, Unexpected
from lab.users.request import FORM, JSON, Content

MOST_REDIRECTS = 5

_NO_BODY = frozenset({"HEAD", "CONNECT"})
_ACCEPT_CODING = {"Accept-Encoding": "gzip"}

Expect = int | Collection[int] | None


class RequestSpec(NamedTuple):
    """One request that the journey wants done."""

    method: str
    path: str
    content: Content
    once: bool
    expected: frozenset[int] | None
    """None: any 2xx, and redirects."""
    is_led_to: bool = False
    """Whether a redirect led there."""


class StepAnswer(NamedTuple):
    """What came of it: `page` is None where nobody knows whether it took effect."""

    page: Page | None
    is_accepted: bool
    is_logged_out: bool


class Browser(ABC):
    """What does a journey's requests."""

    @property
    @abstractmethod
    def origin(self) -> str:
        """Where it is now: the app's, or one of its doors'."""

    @abstractmethod
    def do(self, asked: RequestSpec) -> StepAnswer:
        """One request."""

    @abstractmethod
    def do_together(self, asked: list[RequestSpec]) -> list[StepAnswer]:
        """Several at once, with the same cookies."""

    @abstractmethod
    def cookies(self, path: str) -> dict[str, str]:
        """What a request for `path` would carry."""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Let time pass, for this user alone."""


class Http:
    """What a journey talks to its app with: one browser, with cookies, and redirects followed.

    `expect` names the statuses that count as success; then nothing is followed. Without it any 2xx does, and
    redirects within the app are followed. Anything else raises Unexpected, which a journey may leave alone: what it
    was doing is then over, and its model unchanged. A 4xx that is not expected of what a logged-in user does breaks
    the promise `tries`, so name in `expect` what the app may well answer, as 409 where somebody else was quicker.

    `once=True` says that the app applies requests with the same Idempotency-Key header once, or that doing it
    twice changes nothing: only then is a request that may have taken effect sent again.

    All users share one thread: whatever else waits, such as `time.sleep` or another HTTP client, stops all of them.
    """

    def __init__(self, browser: Browser, *origins: str) -> None:
        """`origins` are all those of the app, such as "http://127.0.0.1:8080"."""
        self._browser = browser
        self._hosts = frozenset(urlsplit(one).netloc for one in origins)

    def get(self, path: str, *, expect: Expect = None, headers: Mapping[str, str] | None = None) -> Page:
        """Read. Always repeated where no answer came."""
        return self.ask("GET", path, expect=expect, headers=headers, once=True)

    def post(self, path: str, **how: Any) -> Page:
        """Change something; `how` as for `ask`: form, json, body and kind, expect, once, headers."""
        return self.ask("POST", path, **how)

    def put(self, path: str, **how: Any) -> Page:
        """As `post`."""
        return self.ask("PUT", path, **how)

    def patch(self, path: str, **how: Any) -> Page:
        """As `post`."""
        return self.ask("PATCH", path, **how)

    def delete(self, path: str, **how: Any) -> Page:
        """As `post`."""
        return self.ask("DELETE", path, **how)

    def together(self, *requests: str | tuple[str, str] | Mapping[str, Any]) -> list[Page]:
        """Several requests at once, as a browser does them with the same cookies over several connections.

        Each is a path to get, a method and a path, or the arguments of `ask` by name; none is followed. Raises for
        the first that was not answered as expected, when all have ended.
        """
        asked = [self._spec(**_named(one)) for one in requests]
        told = self._browser.do_together(asked)
        return [self._page_of(*pair) for pair in zip(asked, told, strict=True)]

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that a request for "/" would carry, by name."""
        return self._browser.cookies("/")

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass, for this user alone."""
        self._browser.sleep(seconds)

    def ask(self, method: str, path: str, **how: Any) -> Page:
        """Any method but HEAD and CONNECT, after whose answers there is no body to wait for.

        `form` is a mapping or pairs, `json` any plain data, `body` bytes with their content type in `kind`; `base` is
        the page that the path is relative to.

        Raises UsageError for those methods, and where `expect` holds a status after which users try again.
        """
        asked = self._spec(method, path, **how)
        expected, content = asked.expected, asked.content
        for _ in range(MOST_REDIRECTS + 1):
            page = self._page_of(asked, self._browser.do(asked))
            if asked.expected is not None or page.status not in REDIRECTS:
                return page
            where = page.header("location")
            if not where:
                return page
            is_got = page.status == 303 or (page.status in {301, 302} and asked.method == "POST")  # as browsers do
            follow = "GET" if is_got else asked.method
            again = Content(headers=content.headers) if follow == "GET" else content
            target, once = self.inside(asked.path, where), follow == "GET" or asked.once
            asked = RequestSpec(follow, target, again, once, expected, is_led_to=True)
        raise Unexpected(f"{method} {path} redirects more than {MOST_REDIRECTS} times")

    def _spec(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, Any] | None = None,
        json: Any = None,
        body: bytes = b"",
        kind: str = "application/octet-stream",
        expect: Expect = None,
        once: bool = False,
        headers: Mapping[str, str] | None = None,
        base: str | None = None,
    ) -> RequestSpec:
        method = method.upper()
        if method in _NO_BODY:
            raise UsageError("can't be asked", at=f"{method} {path}", hint=f"http.get({path!r})")
        if form is not None:
            body, kind = urlencode(form, doseq=True).encode(), FORM
        elif json is not None:
            body, kind = msgspec.json.encode(json), JSON
        more = _ACCEPT_CODING
        if base is not None:
            more = {**more, "Referer": self._browser.origin + base}
            more |= {"Origin": self._browser.origin} if method != "GET" else {}
        if headers:
            more = {**more, **_checked(headers)}
        if base is not None or not path.startswith("/") or not path.isascii():
            path = self.inside(base or "/", path, encoding="utf-8")
        content = Content(body=body, kind=kind, headers=more)
        return RequestSpec(method, path, content, once or method == "GET", statuses(expect, at=f"{method} {path}"))

    def _page_of(self, asked: RequestSpec, told: StepAnswer) -> Page:
        if told.is_logged_out:
            raise LoggedOut(f"{asked.method} {asked.path}: the app asked to log in again")
        if told.page is None:
            raise Unexpected(f"{asked.method} {asked.path} was not answered")
        if not told.is_accepted:
            raise Unexpected(f"{asked.method} {asked.path} answered {told.page.status}, not {_words(asked.expected)}")
        return told.page

    def inside(self, path: str, where: str, *, encoding: str = "latin-1") -> str:
        """The path that an address leads to, within the app; `where` as it stands in a header. Raises Unexpected."""
        try:
            quoted = quote(where.encode(encoding), safe=punctuation)
            target = urlsplit(urljoin(self._browser.origin + path, quoted))
        except ValueError as exc:
            raise Unexpected(f"{path} leads to no address: {where!r}") from exc
        if target.netloc not in self._hosts:
            raise Unexpected(f"{path} leads to another host: {target.netloc}")
        return (target.path or "/") + (f"?{target.query}" if target.query else "")


class UserJourney(ABC):
    """One user of your app: how to log in, what to do, and what must survive. Subclass it, in your own file.

    Each method is plain code that waits by `http` alone. Chance is `self.random` alone, so that a seed repeats
    a run. `self.model` holds what the app has acknowledged, as plain data; change it after the request that the app
    answered. Where nobody knows whether a request took effect, `act` goes on as if it had, on a copy, and the
    next `state` may show either. On two devices of an account the model is the account's: what either did is in it.
    """

    login_page = ""
    """The path that the app redirects to whoever must log in, with a query where that tells it from other pages. If
    empty, the one that `log_in` got before it first posted (or where it began), unless that is "/": apps redirect
    home after an action, too."""

    within = 0.0
    """Seconds after an action until `state` shows its effect, where the app does it in the background."""

    device = 1
    """Which of the account's devices this user is on."""

    def __init__(self, name: str, number: int, password: str, chance: random.Random) -> None:
        self.name, self.number, self.password, self.random = name, number, password, chance
        self.model: Any = self.begin()
        self._keys = 0

    def begin(self) -> Any:
        """The state of an account that has done nothing yet; None: what `state` shows when it is first read."""
        return {}

    def unique(self) -> str:
        """A text that no other user has and that this one never had before."""
        self._keys += 1
        return f"{self.name}.{self._keys}" if self.device == 1 else f"{self.name}.{self.device}.{self._keys}"

    @abstractmethod
    def log_in(self, http: Http) -> None:
        """Log in; returning means that it worked."""

    @abstractmethod
    def act(self, http: Http) -> None:
        """Do one thing, and write into `self.model` what it changed."""

    @abstractmethod
    def state(self, http: Http) -> Any:
        """Read what must survive, by GETs alone; it is compared with `self.model`."""

    def log_out(self, http: Http) -> None:  # noqa: B027 -- not every app lets its users out
        """Log this browser out, and no other; returning means that it worked. Where a journey has this method, users
        log out now and then, and show the session that they ended again: whoever is asked must not take it."""

    @property
    def can_log_out(self) -> bool:
        """Whether its users log out."""
        return type(self).log_out is not UserJourney.log_out

    def is_logged_out(self, page: Page, login_path: str) -> bool:
        """Whether this answer means that the session is gone: 401, or a redirect to the login page.

        `login_path` is that page, empty where it isn't known; see `login_page`.
        """
        return page.status == 401 or bool(login_path and leads_to(page, login_path))


def leads_to(page: Page, login_path: str) -> bool:
    """Whether it redirects to this page: to its path, with all that its query says."""
    if page.status not in REDIRECTS:
        return False
    try:
        target, wanted = urlsplit(urljoin(page.path, page.header("location"))), urlsplit(login_path)
    except ValueError:
        return False
    return target.path == wanted.path and set(parse_qsl(wanted.query)) <= set(parse_qsl(target.query))


def statuses(expect: Expect, *, at: str) -> frozenset[int] | None:
    """Those that count as success. Raises UsageError for one after which users try again: it is never the last word."""
    if expect is None:
        return None
    expected = frozenset({expect} if isinstance(expect, int) else expect)
    for one in sorted(expected):
        if str(one) in TRIED_AGAIN:
            raise UsageError(f"{one} is no success: users try again after it", at=at, hint="expect 4xx or less")
    return expected


def _named(one: str | tuple[str, str] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(one, str):
        return {"method": "GET", "path": one}
    return {"method": one[0], "path": one[1]} if isinstance(one, tuple) else dict(one)


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not (name + value).isascii() or not (name + value).isprintable():
            raise UsageError("is not a header that can be sent", at=f"{name}: {value!r}")
    return headers


def _words(expected: frozenset[int] | None) -> str:
    return "2xx" if expected is None else " or ".join(str(one) for one in sorted(expected))
