"""Where an app sends whoever must log in, and how that page is told from others."""

from __future__ import annotations

from urllib.parse import parse_qsl

from lab.users.page import Page
from lab.users.request import FORM, Content


class LoginPage:
    """The login page as far as a login shows it; one for each device."""

    def __init__(self) -> None:
        self._first = self._got = self._posted_from = ""
        self._fields: frozenset[str] = frozenset()
        """What the login's form sent."""
        self._is_sent_by_script = False
        self._last: Page | None = None
        """What a login got last, once it has posted."""
        self.is_certain = False
        """Whoever was redirected there was asked to log in."""
        self.is_other = False
        """Somebody was redirected there and was not."""

    def begin(self) -> None:
        """Another login begins."""
        self._first = self._got = self._posted_from = ""
        self._last = None

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

    def answered(self, page: Page | None) -> None:
        """What was asked for just before got this answer; None for none."""
        self._last = page if self._posted_from else None

    @property
    def is_shown_again(self) -> bool:
        """Whether the login ended at the page that it had posted from, and is asked for a password there."""
        last = self._last
        if last is None or last.status != 200 or last.path.partition("?")[0] != self._posted_from:
            return False
        return last.has_password()

    @property
    def first(self) -> str:
        """What the login asked for first."""
        return self._first or "/"

    @property
    def path(self) -> str:
        """The page that was got before the first post, else where it began; empty for "/", which may be home too."""
        path = self._posted_from or self._first
        return "" if path == "/" or self.is_other else path

    def is_shown_by(self, page: Page) -> bool:
        """Whether a page asks to log in: by a password, by the fields that the login sent, or by a script."""
        if page.status != 200:
            return False
        typed = {one.name for one in page.controls if one.kind != "hidden"}
        return page.has_password() or bool(typed & self._fields) or (self._is_sent_by_script and not typed)
