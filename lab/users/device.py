"""One simulated device of a user: does operations, tries again, and tells exactly what became of each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from lab.clock import Clock
from lab.model import Kind, Operation, Outcome, Try, TryResult
from lab.users.cookies import Jar
from lab.users.request import Request
from lab.users.story import Normalise, Story, nothing, slots_of
from lab.users.tries import TRIED_AGAIN, Tries, is_harmless, outcome_of
from lab.users.wire import Answer, Connection, Target


class User:
    """One account, on one device or two; `in_flight` counts the operations that its devices have begun."""

    __slots__ = ("in_flight", "name", "password")

    def __init__(self, name: str, password: str) -> None:
        self.name, self.password = name, password
        self.in_flight = 0


class Witness(Protocol):
    """Who is told when an operation begins and what became of it, in the device's own thread."""

    def began(self, user: User, /) -> None: ...

    def ended(self, user: User, operation: Operation, /) -> None: ...


class Device:
    """A browser in somebody's hands: cookies, one connection, and one operation at a time.

    `random` is for the journey's plans only; the jitter between tries is drawn elsewhere, so that bad luck on the
    wire never shifts a plan.
    """

    __slots__ = (
        "_begun",
        "_clock",
        "_connection",
        "_ids",
        "_is_busy",
        "_jar",
        "_keys",
        "_logins",
        "_policy",
        "_seed",
        "_target",
        "_witness",
        "due",
        "last",
        "log_in",
        "name",
        "number",
        "random",
        "session",
        "user",
    )

    def __init__(
        self,
        user: User,
        number: int,
        *,
        target: Target,
        seed: str,
        ids: Iterator[int],
        witness: Witness,
        policy: Tries,
        clock: Clock,
    ) -> None:
        self.user, self.number = user, number
        self.name = f"{user.name}.{number}"
        self.random = random.Random(seed)
        self.session: str | None = None
        """The alias of the session the device is in; None: it isn't logged in."""
        self.due: int | None = None
        """When the next operation was meant to begin; the next one takes it."""
        self.last = ""
        """How the last operation ended: its last try's result."""
        self.log_in: Callable[[], Awaitable[None]] | None = None
        """How to log in again after a 401; the journey sets it."""
        self._target, self._seed, self._ids = target, seed, ids
        self._witness, self._policy, self._clock = witness, policy, clock
        self._connection = Connection(target, clock=clock)
        self._jar = Jar(target.host, clock=clock)
        self._begun = self._logins = self._keys = 0
        self._is_busy = False

    @property
    def is_logged_in(self) -> bool:
        return self.session is not None

    def new_key(self) -> str:
        """A key that no other operation of the run has: `<account>.<device>.<counter>`."""
        self._keys += 1
        return f"{self.name}.{self._keys}"

    async def do(
        self,
        kind: Kind,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        argument: str | int | None = None,
        normalise: Normalise = nothing,
    ) -> Operation:
        """Do one operation, trying again as the policy says with the same `key`, and tell the witness.

        `body` is sent as JSON. A 2xx answer that is not JSON, or that `normalise` rejects, ends the operation as
        GARBLED: unknown, with no answer. After a 401 on a logged-in device the operation is told first, then the
        device logs in again. Never raises for what network or server do; if it is cancelled, what was under way
        is told as cut.
        """
        if self._is_busy:
            raise RuntimeError(f"{self.name} is told to do two things at once")
        story = Story(kind, key, argument, self.session, self.due)
        request = Request(self._target, method, path, body, key, self.name)
        self.due, self._is_busy = None, True
        self._begun += 1
        if kind is Kind.LOGIN:
            self.session, story.session = None, None
            self._logins += 1
        self._witness.began(self.user)
        try:
            await self._try_all(story, request, normalise)
        finally:
            self._is_busy = False
            operation = self._told(story)
            self._witness.ended(self.user, operation)
        if operation.session_rejected and story.session is not None and kind is not Kind.LOGOUT and self.log_in:
            await self.log_in()
        return operation

    async def close(self) -> None:
        """Close the connection; its socket is closed when this returns."""
        await self._connection.close()

    async def _try_all(self, story: Story, request: Request, normalise: Normalise) -> None:
        for number in range(1, self._policy.most + 1):
            if number > 1:
                luck = random.Random(f"{self._seed}/{self._begun}/{number}").random()
                await asyncio.sleep(self._policy.pause_before(number, luck))
            story.trying_since = self._clock.now()
            try:
                result = await self._try_once(story, request, normalise)
            except BaseException:  # cancelled: the request may be on its way, and the record must say so
                done = Try(begin=story.trying_since, end=self._clock.now(), result=TryResult.CUT)
                story.add(done, harmless=False)
                raise
            if result not in TRIED_AGAIN:
                return

    async def _try_once(self, story: Story, request: Request, normalise: Normalise) -> str:
        wire = request.with_cookies(self._jar.line(request.path))
        done = await self._connection.exchange(wire, timeout=self._policy.timeout)
        came = done.came
        if not isinstance(came, Answer):
            sent = came is not TryResult.UNSENT
            story.add(Try(begin=done.begin, end=done.end, result=came, sent=sent), harmless=not sent)
            return came
        for line in came.cookies:
            self._jar.absorb(line, path=request.path)
        result = str(came.status)
        if 200 <= came.status < 300 and not story.read(came.body, normalise):
            result = TryResult.GARBLED
        story.add(
            Try(
                begin=done.begin,
                end=done.end,
                result=result,
                replica=came.header(b"x-replica") or None,
                release=came.header(b"x-release") or None,
                edge=slots_of(came.header(b"x-edge")),
            ),
            harmless=is_harmless(came),
        )
        return result

    def _told(self, story: Story) -> Operation:
        """The operation as it ended, after the device's own session has followed it."""
        last = story.tries[-1]
        self.last = last.result
        outcome = outcome_of(last.result, all_harmless=story.all_harmless)
        if story.kind is Kind.LOGIN and outcome is Outcome.OK:
            self.session = story.session = f"{self.user.name}/{self.number}#{self._logins}"
        elif story.kind is Kind.LOGOUT or last.result == "401":
            self.session = None
        begin = story.tries[0].begin
        late = story.due is not None and story.due < begin
        return Operation(
            id=next(self._ids),
            user=self.user.name,
            device=self.name,
            kind=story.kind,
            begin=begin,
            end=last.end,
            outcome=outcome,
            tries=tuple(story.tries),
            key=story.key,
            argument=story.argument,
            answer=story.answer if outcome is Outcome.OK else None,
            session=story.session,
            answered_as=story.answered_as,
            due=story.due if late else None,
        )
