"""Where an app sends whoever must log in, and how that page is told from others."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from lab.users.forms import Control
from lab.users.page import Page, Unexpected
from lab.users.request import FORM, Content

MOST_TARGETS = 64
"""So many addresses that redirects led to are remembered."""


class LoginPage:
    """The login page as far as a login shows it; one for each device.

    Where a redirect leads to it by its path alone, only what is shown there says whether that asks to log in: it may be
    home, too, or the one script that shows every page.
    """

    def __init__(self) -> None:
        self._first = self._got = self._posted_from = ""
        self._fields: frozenset[str] = frozenset()
        """What the login's form sent."""
        self._typed: frozenset[str] = frozenset()
        """Those of them that its page showed to be filled in."""
        self._secrets: frozenset[str] = frozenset()
        """Those of them that it asked for as passwords."""
        self._shown: Page | None = None
        """What a login got last before it posted."""
        self._is_sent_by_script = False
        self._last: Page | None = None
        """What a login got last, once it has posted."""
        self._asking: set[str] = set()
        """The addresses that redirects led to and that asked to log in."""
        self._others: set[str] = set()
        """Those that did not."""

    def begin(self) -> None:
        """Another login begins."""
        self._first = self._got = self._posted_from = ""
        self._last = self._shown = None

    def asked(self, path: str, posted: Content | None) -> None:
        """A login asked for this, in its turn; `posted` is what it sent, None for a read."""
        self._first = self._first or path
        if posted is None:
            self._got = path
        elif not self._posted_from:
            self._posted_from = self._got or path
            is_form = posted.kind == FORM
            self._is_sent_by_script = not is_form
            self._fields = frozenset(name for name, _ in parse_qsl(posted.body.decode())) if is_form else frozenset()
            shown = () if self._shown is None else _controls_of(self._shown)
            self._typed = self._fields & frozenset(one.name for one in shown if one.kind != "hidden")
            self._secrets = self._fields & (frozenset() if self._shown is None else _passwords_of(self._shown))

    def answered(self, page: Page | None) -> None:
        """What was asked for just before got this answer; None for none."""
        if self._posted_from:
            self._last = page
        else:
            self._shown = page

    @property
    def is_shown_again(self) -> bool:
        """Whether the login ended at the page that it had posted from, and is asked for its password there."""
        last = self._last
        if last is None or last.status != 200 or last.path.partition("?")[0] != self._posted_from:
            return False
        return self._asks_for_password(last)

    @property
    def first(self) -> str:
        """What the login asked for first."""
        return self._first or "/"

    @property
    def path(self) -> str:
        """The page that was got before the first post, else where it began; empty for "/", which may be home too."""
        path = self._posted_from or self._first
        return "" if path == "/" else path

    def known(self, target: str) -> str:
        """The address `target` of a redirect where that is known to ask to log in, else "". Without a target: the path
        of the login page, as far as any redirect has led there."""
        if not target:
            return self.path if self._asking else ""
        return target if target in self._asking and target not in self._others else ""

    def is_harmless(self, target: str) -> bool:
        """Whether a redirect there was found not to ask to log in, and never to ask."""
        return target in self._others and target not in self._asking

    def found(self, target: str, *, asks: bool) -> None:
        """What a redirect led to asked to log in, or did not."""
        targets = self._asking if asks else self._others
        if len(targets) < MOST_TARGETS:
            targets.add(target)

    def is_shown_by(self, page: Page) -> bool:
        """Whether a page asks to log in: by its password, by the fields that the login sent, or by a script."""
        if page.status != 200:
            return False
        typed = {one.name for one in _controls_of(page) if one.kind != "hidden"}
        return self._asks_for_password(page) or bool(typed & self._fields) or (self._is_sent_by_script and not typed)

    def stands_in(self, page: Page) -> bool:
        """Whether a page asks for all that the login's form asked for: for the same password, and for whose it is."""
        if page.status != 200 or not self._secrets or b"password" not in page.body.lower():
            return False
        return self._typed <= frozenset(one.name for one in _controls_of(page))

    def _asks_for_password(self, page: Page) -> bool:
        """Whether it asks for the one that the login sent: of any where that had no name. A page that users change
        their password on asks for others."""
        names = _passwords_of(page)
        return bool(names & self._secrets) if self._secrets else bool(names)


def _passwords_of(page: Page) -> frozenset[str]:
    """The names of what a page asks for as passwords, "" for one without a name."""
    return frozenset(one.name for one in _controls_of(page) if one.kind == "password")


def _controls_of(page: Page) -> Sequence[Control]:
    """None of one that can't be read."""
    try:
        return page.controls
    except Unexpected:
        return ()
