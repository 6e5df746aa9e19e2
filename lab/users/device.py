"""One simulated device of a user: does operations, tries again, and tells exactly what became of each."""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from msgspec.structs import replace

from lab.clock import Clock
from lab.model import TRIED_AGAIN, Kind, Operation, Outcome, Try, TryResult, Value
from lab.users.chance import Chance
from lab.users.cookies import Jar
from lab.users.meaning import Meaning, meaning_of, outcome_of, sends_to
from lab.users.request import PAGE, Content, Request
from lab.users.signed_cookies import cookies_told
from lab.users.story import Normalise, OperationDraft, nothing
from lab.users.tries import Tries
from lab.users.turns import Turns
from lab.users.wire import Alarms, Connection, Door, Exchange, HttpAnswer

_LOGIN, _LOGOUT, _OK, _APPLIED = Kind.LOGIN, Kind.LOGOUT, Outcome.OK, Meaning.APPLIED
"""As plain names: looking one up on its class takes longer than a call."""


LOGIN_PAGE = "/login"
"""Where the shop sends a browser that must log in."""
AGAIN_WITHIN = 0.3
"""Seconds after an answer within which a request is sent once more on purpose."""
AGAIN_LATE, LATE_ONE_IN = 5.0, 8
"""One of so many is sent as late as somebody's last try may be: a key must be known as long as that."""


class User:
    """One account, on one device or two; `in_flight` counts the operations that its devices have begun."""

    __slots__ = ("_foreign", "in_flight", "name", "password")

    def __init__(self, name: str, password: str) -> None:
        self.name, self.password = name, password
        self.in_flight = 0
        stem, dash, number = name.encode().rpartition(b"-")
        # Numbers have three digits at least; that of user 1000 begins like user 100's.
        others = re.escape(stem + dash) + rb"(?!" + re.escape(number) + rb"(?![0-9]))[0-9]{3,}"
        self._foreign = re.compile(others).search if dash else None

    def foreign_mark(self, body: bytes) -> str | None:
        """The account of another user of the same crowd that `body` names, if it names one.

        Accounts, and the ids that their devices make, begin alike. Where accounts have no number nobody can tell.
        """
        found = self._foreign(body) if self._foreign is not None else None
        return None if found is None else found[0].decode()


class Look(Value, kw_only=False, gc=False):
    """How an answer of somebody's own app is understood."""

    meaning: Meaning
    where: str = ""
    """Where it redirects to."""
    doubt: Callable[[], Awaitable[bool]] | None = None
    """Whether the user is turned away by it, where that takes another request to know."""


def pause_before_again(luck: float) -> float:
    """Seconds, by a draw from 0 to 1."""
    is_late = int(luck * 0x100000) % LATE_ONE_IN == 0  # by its lower digits: the upper ones say how late
    return (AGAIN_LATE if is_late else AGAIN_WITHIN) * luck


class Ticket(NamedTuple):
    """What a device showed at some time: its session's alias and its cookies."""

    session: str | None
    cookies: str


class Witness(Protocol):
    """Who is told what became of each operation, in the device's own thread."""

    def ended(self, operation: Operation, /) -> None: ...


class Device:
    """A browser in somebody's hands: cookies, one connection, and one operation at a time.

    `chance` is for the journey's plans only; the jitter between tries is drawn elsewhere, so that bad luck on the
    wire never shifts a plan.
    """

    __slots__ = (
        "_begun",
        "_beside",
        "_clock",
        "_connection",
        "_ids",
        "_is_busy",
        "_is_hurried",
        "_jar",
        "_keys",
        "_last_tries",
        "_logins",
        "_pause",
        "_policy",
        "_seed",
        "_waits_for_turns",
        "_witness",
        "chance",
        "due",
        "last",
        "log_in",
        "name",
        "number",
        "session",
        "user",
    )

    def __init__(
        self,
        user: User,
        number: int,
        *,
        targets: Sequence[Door],
        seed: str,
        ids: Iterator[int],
        witness: Witness,
        policy: Tries,
        clock: Clock,
        alarms: Alarms | None = None,
        turns: Turns | None = None,
    ) -> None:
        """Devices of one event loop may share their `alarms`, and the `turns` that bound how much all of them send."""
        self._waits_for_turns = turns is not None and turns.rate is not None
        self.user, self.number = user, number
        self.name = f"{user.name}.{number}"
        self.chance = Chance(seed)
        self.session: str | None = None
        """The alias of the session the device is in; None: it isn't logged in."""
        self.due: int | None = None
        """When the next operation was meant to begin; the next one takes it."""
        self.last = ""
        """How the last operation ended: its last try's result."""
        self.log_in: Callable[[], Awaitable[None]] | None = None
        """How to log in again after a 401; the journey sets it."""
        self._seed, self._ids = seed, ids
        self._witness, self._policy, self._clock = witness, policy, clock
        self._connection = Connection(*targets, clock=clock, alarms=alarms, turns=turns)
        self._beside: tuple[Connection, ...] = ()
        """For requests that are done at once."""
        self._jar = Jar(targets[0].host, clock=clock, is_secure=targets[0].is_secure)
        self._begun = self._logins = self._keys = 0
        self._last_tries: tuple[Try, ...] = ()
        self._is_busy = False
        self._is_hurried = False
        self._pause: asyncio.Future[None] | None = None
        """The one under way before something is sent again."""

    def hurry(self, *, is_wanted: bool) -> None:
        """Whether what is to be sent again later is sent at once: nobody waits for a pause once all else has ended."""
        self._is_hurried = is_wanted
        if is_wanted and self._pause is not None:
            _end(self._pause)

    @property
    def is_logged_in(self) -> bool:
        return self.session is not None

    @property
    def door(self) -> Door:
        """The one that it went to last, or will go to first."""
        return self._connection.target

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
        ticket: Ticket | None = None,
        look: Callable[[HttpAnswer], Look] | None = None,
        is_repeatable: bool = True,
        sends_again: bool = False,
    ) -> Operation:
        """Do one operation, trying again as the policy says with the same `key`, and tell the witness.

        With a `ticket` the request carries what the device's cookies were then, as a thief's would: what comes of it
        changes neither the device's cookies nor whether it is logged in.

        With `look` the answer may be anything: it means what `look` says, and is not read otherwise. What is not
        `is_repeatable` is tried again only where the try before surely had no effect. What was answered is sent once
        more a little later if it `sends_again`, as somebody does whose answer got lost: with its key, for the same end.

        `body` is sent as JSON, unless it is Content. A 2xx answer that is not JSON, or that `normalise` rejects, ends
        the operation as GARBLED: unknown, with no answer. After a 401 on a logged-in device the operation is told
        first, then the device logs in again. Never raises for what network or server do; if it is cancelled, or
        `look` raises, what was under way is told as cut, and the operation as broken off.
        """
        if self._is_busy:
            raise RuntimeError(f"{self.name} is told to do two things at once")
        session = self.session if ticket is None else ticket.session
        due = None if self._waits_for_turns else self.due  # to wait for one's turn is no slowness of the app's
        story = OperationDraft(kind, key, argument, session, due, is_repeatable, ticket is None)
        if look is None and isinstance(body, Content):
            story.is_page = True
        request = Request(method, path, body, key, self.name)
        self.due, self._is_busy = None, True
        self._begun += 1
        if kind is _LOGIN:
            self.session, story.session = None, None
            self._logins += 1
        self.user.in_flight += 1
        try:
            while True:  # and not in a method of its own: whatever awaits makes each request dearer
                begin = self._clock.now()
                try:
                    cookies = self._jar.line(path) if ticket is None else ticket.cookies
                    wire = request.to(self._connection.target, cookies=cookies)
                    done = await self._connection.exchange(wire, timeout=self._policy.timeout)
                    self._take(done, story, path, normalise, look)
                except BaseException:  # cancelled, or `look` broke: it may have taken effect; the record must say so
                    story.add(Try(begin, self._clock.now(), TryResult.CUT), Meaning.UNKNOWN)
                    raise
                if story.tries[-1].result not in TRIED_AGAIN or not self._may_try_again(story):
                    break
                await asyncio.sleep(self._pause_before(len(story.tries) + 1))
            if story.doubt is not None and await story.doubt():
                story.meaning, story.turned_away = Meaning.LOGGED_OUT, True
            if sends_again and story.meaning is _APPLIED:
                await self._send_again(request, story, path, normalise)
        except BaseException:  # cancelled: a user would have waited, or tried again
            story.is_broken_off = True
            raise
        finally:
            self._is_busy = False
            operation = self._told(story)
            self.user.in_flight -= 1
            self._witness.ended(operation)
        if self.session is None and operation.session_rejected:
            was_mine = story.session is not None and kind is not _LOGOUT and ticket is None
            if was_mine and self.log_in:
                await self.log_in()
        return operation

    def ticket(self, path: str = "/") -> Ticket:
        """The device's session of this moment, and the cookies that a request for `path` carries."""
        return Ticket(self.session, self._jar.line(path))

    async def close(self) -> None:
        """Close the connection; its socket is closed when this returns."""
        for connection in (self._connection, *self._beside):
            await connection.close()

    def cookies(self, path: str) -> dict[str, str]:
        """What a request for `path` would carry, by name; of equal names the one for the longest path."""
        return self._jar.named(path)

    def tabs(self, count: int) -> list[Device]:
        """The same browser so many times over, each with a connection of its own, to do that many things at once.

        `follow` takes over what becomes of them.
        """
        while len(self._beside) < count:
            self._beside += (self._connection.another(),)
        tabs = [copy.copy(self) for _ in range(count)]
        for tab, connection in zip(tabs, self._beside, strict=False):
            tab._connection, tab._beside, tab._is_busy = connection, (), False
        return tabs

    def follow(self, tabs: Sequence[Device]) -> None:
        """Go on from what became of the tabs."""
        for tab in tabs:
            self._last_tries, self.last = tab._last_tries, tab.last
            self._keys = max(self._keys, tab._keys)
        self._begun += len(tabs)
        if any(tab.session is None for tab in tabs):
            self.session = None

    def conclude(
        self,
        kind: Kind,
        *,
        outcome: Outcome = _OK,
        argument: int | None = None,
        answer: Any = None,
        allowed: tuple[Any, ...] | None = None,
        ended_early: str | None = None,
        could_not_fail: str = "",
        tries: tuple[Try, ...] | None = None,
    ) -> None:
        """Tell the witness what follows from the operations just before: how a login ended, a state that was read.

        A LOGIN that is OK puts the device into a new session, and a LOGOUT is that of the one it is in. `tries` are the
        last operation's if not given; the others are as in an Operation.
        """
        if kind is Kind.LOGIN and outcome is _OK:
            self._logins += 1
            self.session = self._new_session()
        now = self._clock.now()
        concluded = Operation(
            id=next(self._ids),
            user=self.user.name,
            device=self.name,
            kind=kind,
            begin=now,
            end=now,
            outcome=outcome,
            tries=self._last_tries if tries is None else tries,
            argument=argument,
            answer=answer,
            session=self.session if kind is _LOGIN or kind is _LOGOUT else None,
            allowed=allowed,
            is_conclusion=True,
            quiet=not self.user.in_flight,
            ended_early=ended_early,
            could_not_fail=could_not_fail,
            cookies=cookies_told(self._jar.named("/")) if kind is Kind.LOGIN and outcome is _OK else None,
        )
        self._witness.ended(concluded)

    async def let_others_pass(self, count: int, path: str) -> None:
        """So many others, without any cookie, get a page, so that it is another replica's turn; no operations."""
        connection = self._connection.another()
        wire = Request("GET", path, PAGE, None, self.name).to(connection.target, cookies="")
        for _ in range(count):
            await connection.exchange(wire, timeout=self._policy.timeout)
        await connection.close()

    def forget_session(self) -> None:
        """Throw away cookies and session, as a browser does whose user clears them."""
        self.session = None
        door = self.door
        self._jar = Jar(door.host, clock=self._clock, any_domain=self._jar.any_domain, is_secure=door.is_secure)

    def take_any_domain(self) -> None:
        """Keep cookies for whatever domain they are: the app's own in production."""
        self._jar.any_domain = True

    def _new_session(self) -> str:
        return f"{self.user.name}/{self.number}#{self._logins}"

    def _may_try_again(self, story: OperationDraft) -> bool:
        return len(story.tries) < self._policy.most and (story.is_repeatable or story.all_harmless)

    def _pause_before(self, number: int) -> float:
        return self._policy.pause_before(number, Chance(f"{self._seed}/{self._begun}/{number}").random())

    async def _send_again(self, request: Request, story: OperationDraft, path: str, normalise: Normalise) -> None:
        """The same request once more. What the first one was answered stands; another answer is told beside it."""
        seconds = pause_before_again(Chance(f"{self._seed}/{self._begun}/again").random())
        if not self._is_hurried:
            loop = asyncio.get_running_loop()
            self._pause = pause = loop.create_future()
            timer = loop.call_later(seconds, _end, pause)
            try:
                await pause
            finally:
                self._pause = None
                timer.cancel()
        first, wrong = story.answer, story.wrong
        wire = request.to(self._connection.target, cookies=self._jar.line(path))
        done = await self._connection.exchange(wire, timeout=self._policy.timeout)
        self._take(done, story, path, normalise, None)
        story.repeats += 1
        if story.meaning is _APPLIED and story.answer != first:
            story.answered_again = story.answer
        story.answer, story.wrong = first, wrong or story.wrong

    def _take(
        self,
        done: Exchange,
        story: OperationDraft,
        path: str,
        normalise: Normalise,
        look: Callable[[HttpAnswer], Look] | None,
    ) -> None:
        """Add what came of one try to the story; where that is followed, the device's cookies follow the answer."""
        came = done.came
        if not isinstance(came, HttpAnswer):
            sent = came is not TryResult.UNSENT
            story.add(Try(done.begin, done.end, came, sent), meaning_of(came))
            return
        head = came.head
        if head.cookies and story.is_followed:
            for line in head.cookies:
                self._jar.absorb(line, path=path)
        result = head.result
        if look is not None:
            seen = look(came)
            meaning, story.doubt = seen.meaning, seen.doubt
            story.turned_away = meaning is Meaning.LOGGED_OUT
            if seen.where:
                story.argument = f"{story.argument} (to {seen.where})"
        elif 200 <= head.status < 300:
            meaning = _APPLIED
            if not story.read(came.body, normalise):
                result, meaning = TryResult.GARBLED, Meaning.UNKNOWN
        else:
            meaning = meaning_of(came, is_away=sends_to(came, LOGIN_PAGE))
            story.turned_away = meaning is Meaning.LOGGED_OUT and head.status != 401
        if look is None:
            mark = self.user.foreign_mark
            story.foreign = mark(came.body) or mark(head.said) or story.foreign
        one = Try(done.begin, done.end, result, True, head.replica, head.release, head.edge)
        story.add(one, meaning)

    def _told(self, story: OperationDraft) -> Operation:
        """The operation as it ended; where the story is followed, after the device's own session has followed it."""
        self._last_tries = tries = story.tries
        last = tries[-1]
        self.last = last.result
        kind, name = story.kind, self.user.name
        is_well = story.meaning is _APPLIED or story.repeats > 0
        outcome = _OK if is_well else outcome_of(story.meaning, all_harmless=story.all_harmless)
        if not story.is_followed:
            pass
        elif kind is _LOGIN and outcome is _OK:
            self.session = story.session = self._new_session()
        elif kind is _LOGOUT or story.meaning is Meaning.LOGGED_OUT:
            self.session = None
        begin, due = tries[0].begin, story.due
        # By place: with so many fields, finding each by its name would take as long as sending the request.
        told = Operation(
            next(self._ids),
            name,
            self.name,
            kind,
            begin,
            last.end,
            outcome,
            tries,
            story.key,
            story.argument,
            story.answer if outcome is _OK else None,
            story.session,
            name if story.answered_as == name else story.answered_as,  # one text for all of a user's operations
            due if due is not None and due < begin else None,
            self.user.in_flight == 1,
            turned_away=story.turned_away,
            is_repeatable=story.is_repeatable,
            is_broken_off=story.is_broken_off,
            is_page=story.is_page,
        )
        if not story.is_extraordinary:
            return told
        return replace(
            told,
            repeats=story.repeats,
            answered_again=story.answered_again,
            foreign=story.foreign,
            wrong=story.wrong,
        )


def _end(pause: asyncio.Future[None]) -> None:
    if not pause.done():
        pause.set_result(None)
