"""Whether a state follows from what the app answers: it is made once more from the answers of an earlier read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.users.own import Browser, Http, RequestSpec, StepAnswer
from lab.users.page import Page

ORIGIN = "http://earlier"
Asked = list[tuple[str, Page]]
"""What was asked for a state, and the answers."""


class _Earlier(Browser):
    """Gives the answers of an earlier read, each once."""

    def __init__(self, pages: Asked) -> None:
        self._left = list(pages)

    origin = ORIGIN

    def do(self, asked: RequestSpec) -> StepAnswer:
        place = next((n for n, (path, _) in enumerate(self._left) if path == asked.path), None)
        if place is None:
            return StepAnswer(None, is_accepted=False, is_logged_out=False)
        return StepAnswer(self._left.pop(place)[1], is_accepted=True, is_logged_out=False)

    def do_together(self, asked: list[RequestSpec]) -> list[StepAnswer]:
        return [self.do(one) for one in asked]

    def cookies(self, path: str) -> dict[str, str]:  # noqa: ARG002 -- as all browsers
        return {}

    def sleep(self, seconds: float) -> None:
        """Nothing happens meanwhile."""


class Dependence:
    """Finds out, by the first changes, whether `state` depends on the app's answers at all.

    One that shows the change though it was given the answers from before it would never have missed anything.
    """

    __slots__ = ("_before", "_seen", "asked", "is_known")

    def __init__(self) -> None:
        self.asked: Asked = []
        """Of the read that is under way."""
        self.is_known = False
        self._before: Asked = []
        self._seen: Any = None

    def note(self, path: str, page: Page | None) -> None:
        """The app answered this."""
        if not self.is_known and page is not None:
            self.asked.append((path, page))

    def doubt(self, state: Callable[[Http], Any], seen: Any) -> str:
        """Why comparing what was read just now could not have failed; empty where it could."""
        if self.is_known:
            return ""
        asked, self.asked = self.asked, []
        if not asked:
            return "state() asks the app nothing"
        before, old = self._before, self._seen
        self._before, self._seen = asked, seen
        if not before or old == seen:
            return "only the first state was read"
        try:
            is_independent = state(Http(_Earlier(before), ORIGIN)) == seen
        except Exception:  # noqa: BLE001 -- it wanted other answers, so it does look at them
            is_independent = False
        if is_independent:
            return "state() shows the same whatever the app answers"
        self.is_known, self._before, self._seen = True, [], None
        return ""
