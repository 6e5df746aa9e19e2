"""What a session is good for once its user has logged out: for nothing, whichever replica is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lab.model import Kind, Outcome, Try
from lab.users.device import Device, Look, Ticket
from lab.users.meaning import Meaning
from lab.users.own import UserJourney
from lab.users.page import Page, Unexpected
from lab.users.wire import HttpAnswer

LOGS_OUT = 1 / 25
"""The share of actions instead of which a user logs out."""
SHOWN = 3
"""So often an ended session is shown, so that replicas which take turns are asked that did not end it."""


class Logouts:
    """A journey's logouts on one device.

    A session is shown again by getting what `state` got last, as a thief of its cookies would, and only where the app
    turns away whoever gets that without any: a page that it shows to everybody tells nothing. A logout that was not
    answered as the journey expects claims nothing.
    """

    def __init__(self, device: Device, mine: UserJourney, is_away: Callable[[Page], bool]) -> None:
        """`is_away`: whether an answer says by itself that nobody is logged in."""
        self._device, self._mine, self._is_away = device, mine, is_away
        self._tells: dict[str, bool] = {}
        """By path, whether it turns away who has no session."""

    def is_due(self) -> bool:
        """Whether the user logs out now; drawn only where the journey can."""
        return self._mine.can_log_out and self._device.chance.random() < LOGS_OUT

    async def log_out(self, do: Callable[[], Awaitable[tuple[Try, ...]]], path: str) -> None:
        """Log out by `do`, which gives the tries of the request that does it, and see what the session is good for
        then; `path` is what `state` got last."""
        device, ticket = self._device, self._device.ticket(path)
        try:
            tries, why = await do(), "it asked for nothing"
        except Unexpected as exc:
            tries, why = (), str(exc) or "the app did not answer as expected"
        is_done = bool(tries)
        device.conclude(
            Kind.LOGOUT,
            outcome=Outcome.OK if is_done else Outcome.UNKNOWN,
            ended_early="" if is_done else why,
            tries=tries or None,
        )
        device.forget_session()
        if is_done and await self._is_telling(path):
            for _ in range(SHOWN):
                await self._get(Kind.READ, path, ticket)

    async def _is_telling(self, path: str) -> bool:
        if path not in self._tells:
            meaning = await self._get(Kind.BROWSE, path, Ticket(None, ""))
            if meaning is Meaning.UNKNOWN:
                return False
            self._tells[path] = meaning is Meaning.LOGGED_OUT
        return self._tells[path]

    async def _get(self, kind: Kind, path: str, ticket: Ticket) -> Meaning:
        """Get it with these cookies alone: what the last answer means. UNKNOWN where there was none."""
        meaning = Meaning.UNKNOWN

        def look(came: HttpAnswer) -> Look:
            nonlocal meaning
            is_away = 300 <= came.status < 500 or self._is_away(Page(came.status, came.headers, came.body, path))
            meaning = Meaning.LOGGED_OUT if is_away else Meaning.APPLIED if came.status < 300 else Meaning.UNKNOWN
            return Look(meaning)

        await self._device.do(kind, "GET", path, argument=f"GET {path}", look=look, ticket=ticket)
        return meaning
