"""What a session is good for once its user has logged out: for nothing, whichever replica is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

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


class _Got(NamedTuple):
    """What came of a request: UNKNOWN without a body where there was no whole answer."""

    meaning: Meaning = Meaning.UNKNOWN
    body: bytes = b""


class Logouts:
    """A journey's logouts on one device.

    A session is shown again by getting what `state` got last, as a thief of its cookies would. Where the app turns away
    whoever gets that without any, so must it do with an ended session. Where it shows them something, an ended session
    must be shown the same; who is shown what the user saw just before is still logged in, and anything else tells
    nothing, as a page that is the same for everybody. A logout that was not answered as the journey expects claims
    nothing.
    """

    def __init__(self, device: Device, mine: UserJourney, is_away: Callable[[Page], bool]) -> None:
        """`is_away`: whether an answer says by itself that nobody is logged in."""
        self._device, self._mine, self._is_away = device, mine, is_away
        self._strangers: dict[str, bytes | None] = {}
        """By path, what is shown to who has no session; None: they are turned away."""

    def is_due(self) -> bool:
        """Whether the user logs out now; drawn only where the journey can."""
        return self._mine.can_log_out and self._device.chance.random() < LOGS_OUT

    async def log_out(self, do: Callable[[], Awaitable[tuple[Try, ...]]], path: str) -> None:
        """Log out by `do`, which gives the tries of the request that does it, and see what the session is good for
        then; `path` is what `state` got last."""
        device, ticket = self._device, self._device.ticket(path)
        await self._learn(path)
        stranger = self._strangers.get(path)
        mine = None if stranger is None else (await self._get(Kind.BROWSE, path, ticket)).body
        try:
            tries, why = await do(), "it asked for nothing"
        except Unexpected as exc:
            tries, why = (), str(exc)
        is_done = bool(tries)
        device.conclude(
            Kind.LOGOUT,
            outcome=Outcome.OK if is_done else Outcome.UNKNOWN,
            ended_early="" if is_done else why,
            tries=tries or None,
        )
        device.forget_session()
        for _ in range(SHOWN if is_done and path in self._strangers else 0):
            if stranger is None:
                await self._get(Kind.READ, path, ticket)
            elif mine and mine != stranger:
                await self._compare(path, ticket, mine, stranger)

    async def _learn(self, path: str) -> None:
        if path not in self._strangers:
            got = await self._get(Kind.BROWSE, path, Ticket(None, ""))
            if got.meaning is not Meaning.UNKNOWN:
                self._strangers[path] = None if got.meaning is Meaning.LOGGED_OUT else got.body

    async def _compare(self, path: str, ticket: Ticket, mine: bytes, stranger: bytes) -> None:
        """Show an ended session to an app that turns nobody away."""
        got = await self._get(Kind.BROWSE, path, ticket)
        is_away = got.meaning is Meaning.LOGGED_OUT or got.body == stranger
        if is_away or got.body == mine:
            outcome = Outcome.REFUSED if is_away else Outcome.OK
            self._device.conclude(Kind.READ, outcome=outcome, session=ticket.session, turned_away=is_away)

    async def _get(self, kind: Kind, path: str, ticket: Ticket) -> _Got:
        """Get it with these cookies alone: the last answer."""
        got = _Got()

        def look(came: HttpAnswer) -> Look:
            nonlocal got
            is_away = 300 <= came.status < 500 or self._is_away(Page(came.status, came.headers, came.body, path))
            meaning = Meaning.LOGGED_OUT if is_away else Meaning.APPLIED if came.status < 300 else Meaning.UNKNOWN
            got = _Got(meaning, b"" if meaning is Meaning.UNKNOWN else came.body)
            return Look(meaning)

        await self._device.do(kind, "GET", path, argument=f"GET {path}", look=look, ticket=ticket)
        return got
