"""Drives somebody's own journey on a device: its plain methods on a stack of their own, its requests in the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lab.clock import NS, SYSTEM_CLOCK
from lab.errors import LabError, UsageError, blame, is_from_outside
from lab.model import Kind, Operation, Outcome, Try
from lab.users.account_model import AccountModel, encode, members_once, plain, recorded
from lab.users.device import Device, Look
from lab.users.fiber import Fibers, wait_for
from lab.users.journey import Journey
from lab.users.login_page import LoginPage
from lab.users.logouts import Logouts
from lab.users.meaning import REDIRECTS, Meaning, meaning_of
from lab.users.merge import Act
from lab.users.own import Browser, Http, RequestSpec, StepAnswer, UserJourney, leads_to
from lab.users.own_code import own_code
from lab.users.page import LoggedOut, Page, Unexpected
from lab.users.replay import Dependence
from lab.users.shown_by import shown_by
from lab.users.wire import HttpAnswer

NO_ANSWER_YET = frozenset({"408", "425", "429"})
"""Statuses that ask to come again later, and so say nothing of a state."""
UNCHANGED = "the state never changed"
LOOK_AGAIN = 0.25
"""Seconds between two reads of an effect that comes later."""
LOOKS_ELSEWHERE = 2
"""Looks at whether a session is known: one may meet the only replica that knows it."""
LOGS_IN_ANEW = 1 / 30
"""The share of the actions on an account's second device before which it logs in anew, as from another browser."""

LONELY_AFTER, MOST_PASSING = 3, 8
"""Failed logins in a row after which others come by between a login's requests, and how many at most: of replicas that
take turns, one that is alone meets another one with every request, and so none would ever see two of its requests."""

T = TypeVar("T")
_ACT, _READ, _BROWSE, _OK = Kind.ACT, Kind.READ, Kind.BROWSE, Outcome.OK
"""As plain names: looking one up on its class takes longer than a call."""


class _InDoubt(Exception):
    """What follows an action of unknown outcome can't be done: it is only imagined."""


class Driven(Journey, Browser):
    """One user's journey on one device, and what its model allows the app to show.

    After every action the state is read and compared. While an action's outcome is unknown nothing else is done but
    to read, until a read says which it was; a read that fits neither is a finding of the oracle's, and what was
    read is the model from then on, so that one loss is told once.

    An app that answers with something that is no state (a 404, another shape) shows none of what it had: the record
    then holds what was unexpected as the state that was read. Only an account that has nothing yet may have nothing
    to show.
    """

    def __init__(
        self,
        device: Device,
        mine: UserJourney,
        account: AccountModel,
        *origins: str,
        fibers: Fibers | None = None,
        through: Callable[[Browser], Browser] = lambda browser: browser,
    ) -> None:
        """`origins` are those of the app's doors. Users of one loop share `fibers`. What the journey asks for goes
        `through` what that makes of this browser."""
        super().__init__(device)
        device.take_any_domain()
        device.log_in = None  # a session that is lost ends the action; the next turn logs in
        self._origins = origins
        self._http = Http(through(self), *origins)
        self._kind = Kind.BROWSE
        self._login_page = LoginPage()
        self._is_imagined = False
        self._is_loose = False
        """Nobody knows what this action changed, whatever else came of it."""
        self._at_write = b""
        """The model when the app last accepted a write of this action, as JSON; empty for none."""
        self._without: Any = None
        """The model without the action that is in doubt."""
        self._mine, self._account = mine, account
        self._fibers = fibers or Fibers(SYSTEM_CLOCK)
        self._ended_early: str | None = None
        """Why the action before the next state ended early; empty where it did not, None where there was none."""
        self._dependence = Dependence()
        self._reads: list[tuple[tuple[Try, ...], Page]] = []
        """What the state under way is made from."""
        self._chain: list[str] = []
        """What the login under way asked for, and who answered it with what."""
        self._login_tries: tuple[Try, ...] = ()
        """Those of its last request that was no read: who answered that made the session."""
        self._logout_tries: tuple[Try, ...] = ()
        """Those of the request that a logout is made of: its last that was no read, else the last that no redirect led
        to."""
        self._is_ended = False
        """Whether a logout under way has asked for something that is no read."""
        self._failed_logins = 0
        """In a row."""
        self._logouts = Logouts(device, mine, self._is_away_by_itself)
        self._read = ""
        """The path that `state` got last."""
        self._shows_form = False
        """Whether a state was made from pages that show what the login page shows."""

    async def log_in(self) -> None:
        self.device.forget_session()
        self._login_page.begin()
        self._chain.clear()
        self._login_tries = ()
        try:
            await self._run(Kind.BROWSE, self._mine.log_in)
            why = "log_in ended where it began: the app asks to log in again" if self._login_page.is_shown_again else ""
        except Unexpected as exc:
            why = str(exc)
        if why:
            told = f"{why} ({', '.join(self._chain)})"
            self._failed_logins += 1
            if self._chain:
                self.device.conclude(Kind.LOGIN, outcome=Outcome.REFUSED)
            self.device.last = told
            return
        self._failed_logins = 0
        self.device.conclude(Kind.LOGIN, tries=self._login_tries or None)
        if self._account.allowed is None and not self._account.has_read:
            await self.read_back()

    @property
    def can_log_out(self) -> bool:
        return self._mine.can_log_out

    async def log_out(self) -> None:
        """Log out, and show the session that was ended; the next turn logs in."""
        self._logout_tries, self._is_ended = (), False
        await self._logouts.log_out(self._end_session, self._read)

    async def _end_session(self) -> tuple[Try, ...]:
        await self._run(Kind.LOGOUT, self._mine.log_out)
        return self._logout_tries

    async def act(self) -> None:
        if self._read and self.device.is_logged_in and self._logouts.is_due():
            await self.log_out()
            return
        if self.device.number > 1 and self.device.chance.random() < LOGS_IN_ANEW:
            await self.log_in()
        if self.device.is_logged_in and self._account.may_act:
            await self._act()
        if self.device.is_logged_in:
            await self.read_back()

    async def read_back(self) -> bool:
        account, within = self._account, self._mine.within
        until = SYSTEM_CLOCK.now() + int(within * NS) if within else 0
        while True:
            turn = account.begin_read()
            self._dependence.asked = []
            self._reads.clear()
            try:
                seen = plain(await self._run(Kind.READ, self._mine.state))
            except LoggedOut:
                return False
            except Unexpected as exc:
                return self._was_shown_none(exc, is_alone=account.is_alone(turn))
            if not account.is_alone(turn):
                return True
            if not within or not self._may_come_later(seen) or SYSTEM_CLOCK.now() >= until:
                break
            await asyncio.sleep(LOOK_AGAIN)
        self._shows_form = self._shows_form or any(self._login_page.stands_in(page) for _, page in self._reads)
        account.allow_late(seen)
        answer, allowed = recorded(seen, account.allowed)
        self.device.conclude(
            Kind.STATE,
            argument=members_once(seen) or None,
            answer=answer,
            allowed=allowed,
            ended_early=self._ended_early,
            could_not_fail=self._could_not_fail(seen),
            tries=self._shown_by(seen),
        )
        self._reads.clear()
        self._ended_early = None
        account.take(seen)
        if self._mine.model != seen:
            self._mine.model = plain(seen)
        return True

    def _shown_by(self, seen: Any) -> tuple[Try, ...] | None:
        """The tries of the read that shows what is new in a state, or what should be and is not; None: the last."""
        if len(self._reads) < 2:
            return None
        allowed = self._account.allowed
        is_allowed = allowed is None or seen in allowed
        return shown_by(self._reads, seen, self._account.seen if is_allowed or not allowed else allowed[-1])

    def _may_come_later(self, seen: Any) -> bool:
        """Whether another read may show what this one does not, by an app that does it in the background."""
        allowed = self._account.allowed
        return allowed is not None and seen != allowed[-1]

    def _could_not_fail(self, seen: Any) -> str:
        allowed = self._account.allowed
        doubt = self._dependence.doubt(self._mine.state, seen)
        if allowed is None or seen not in allowed:
            return ""
        is_changed = any(one != self._account.seen for one in allowed)
        return doubt if is_changed else UNCHANGED

    def _was_shown_none(self, why: Unexpected, *, is_alone: bool) -> bool:
        """The app showed no state. Whether it need not have, as there may be none yet."""
        account = self._account
        if not self._was_answered() or not is_alone:
            return False
        if account.may_have_nothing():
            return True
        if account.allowed is not None:
            self.device.conclude(Kind.STATE, answer=str(why), allowed=account.allowed, ended_early=self._ended_early)
            account.allowed, self._ended_early = None, None  # until a read says how life goes on
        return False

    def _was_answered(self) -> bool:
        """Whether the app answered the read just before, and did not ask to come again later."""
        last = self.device.last
        return last.startswith(("2", "3", "4")) and last not in NO_ANSWER_YET

    async def _act(self) -> None:
        """Let the user act; both outcomes are allowed where one of them is unknown, any if the other isn't known."""
        self._is_imagined = self._is_loose = False
        self._at_write, self._ended_early = b"", ""
        before, begin = self._account.begin_act(), SYSTEM_CLOCK.now()
        self._mine.model = plain(before)
        outcomes: tuple[Any, ...] | None = None
        try:
            try:
                await self._run(Kind.ACT, self._mine.act)
            except (Unexpected, _InDoubt) as exc:
                self._ended_early = str(exc) or "nobody knows whether it took effect"
            is_whole = not self._ended_early
            after = plain(self._mine.model)
            if self._is_loose:
                pass
            elif self._is_imagined:
                outcomes = (self._without, after) if is_whole else None
            elif is_whole or self._at_write != encode(after):  # else the app accepted more than its model came to hold
                outcomes = (after,)
        finally:
            self._is_imagined = False
            self._account.end_act(Act(begin, SYSTEM_CLOCK.now(), before, outcomes))

    # what the journey calls, on its own stack

    @property
    def origin(self) -> str:
        # Users go on to another door where theirs is silent; an app that looks at Origin compares it with Host.
        return self._origins[0] if len(self._origins) == 1 else self.device.door.origin

    def do(self, asked: RequestSpec) -> StepAnswer:
        if self._is_imagined:
            raise _InDoubt
        return wait_for(self._do(asked, self.device))

    def do_together(self, asked: list[RequestSpec]) -> list[StepAnswer]:
        if self._is_imagined:
            raise _InDoubt
        return wait_for(self._do_together(asked))

    def cookies(self, path: str) -> dict[str, str]:
        return self.device.cookies(path)

    def sleep(self, seconds: float) -> None:
        wait_for(asyncio.sleep(seconds))

    # in the crowd's loop

    async def _do_together(self, asked: list[RequestSpec]) -> list[StepAnswer]:
        tabs = self.device.tabs(len(asked))
        told = await asyncio.gather(*(self._do(one, tab) for one, tab in zip(asked, tabs, strict=True)))
        self.device.follow(tabs)
        self._is_loose |= self._is_imagined  # others of them may have taken effect before the journey came to note it
        return list(told)

    async def _do(self, asked: RequestSpec, device: Device) -> StepAnswer:
        kind = self._kind
        reads = asked.method == "GET"
        logs_in = kind is _BROWSE
        if logs_in:
            self._login_page.asked(urlsplit(asked.path).path, None if reads else asked.content)
            if self._chain and self._failed_logins >= LONELY_AFTER:
                await device.let_others_pass(self._failed_logins % MOST_PASSING, self._login_page.first)
        elif kind is Kind.LOGOUT:
            kind = _BROWSE
        if kind is _ACT and reads:
            kind = _READ
        if kind is _READ and not reads:
            raise UsageError("state() may only read", at=f"{asked.method} {asked.path}", hint="do it in act()")
        page: Page | None = None

        def look(came: HttpAnswer) -> Look:
            nonlocal page
            page = Page(came.status, came.headers, came.body, asked.path, method=asked.method, send=self._http.ask)
            is_away = kind is not _BROWSE and (self._is_away(page, asked.expected) or self._asks_here(asked, page))
            meaning = meaning_of(came, expected=asked.expected, follows=True, is_away=is_away)
            if meaning is Meaning.UNKNOWN and came.status < 500 and len(came.head.edge) < 2:
                # What its journey does not take for a success, an app that answered has not done as far as it says;
                # that it may have done something all the same, `_note_write` allows for.
                meaning = Meaning.NOT_APPLIED
            doubt = None if is_away or kind is _BROWSE else self._doubt_of(page, device, reads=reads)
            return Look(meaning, _location(came), doubt)

        done = await device.do(
            kind,
            asked.method,
            asked.path,
            asked.content,
            key=device.new_key() if asked.once and not reads else None,
            argument=f"{asked.method} {asked.path}",
            look=look,
            is_repeatable=reads or asked.once,
        )
        if done.turned_away:
            return StepAnswer(page, is_accepted=False, is_logged_out=True)
        if kind is _BROWSE:
            self._note_login_or_logout(asked, done, page)
        elif kind is _READ and self._kind is _READ:
            self._dependence.note(asked.path, page)
            self._read = asked.path
            if page is not None:
                self._reads.append((done.tries, page))
        elif kind is _ACT:
            unknown = self._note_write(done, page)
            if unknown is not None:
                return unknown
        answered = page if done.final.answered else None
        return StepAnswer(answered, is_accepted=done.outcome is _OK, is_logged_out=False)

    def _note_login_or_logout(self, asked: RequestSpec, done: Operation, page: Page | None) -> None:
        """Keep in mind who answered what of a login or a logout."""
        reads = asked.method == "GET"
        if self._kind is Kind.LOGOUT:
            if not reads or not (asked.is_led_to or self._is_ended):
                self._logout_tries, self._is_ended = done.tries, not reads
            return
        by = f" by {done.final.replica}" if done.final.replica else ""
        self._chain.append(f"{asked.method} {asked.path} -> {done.final.result}{by}")
        self._login_page.answered(page if done.final.answered else None)
        if not reads:
            self._login_tries = done.tries

    def _note_write(self, done: Operation, page: Page | None) -> StepAnswer | None:
        """Keep in mind what came of a write; the answer to go on with where nobody knows whether it took effect."""
        if done.outcome is _OK:
            self._at_write = encode(self._mine.model)
        elif done.outcome is Outcome.UNKNOWN:
            # From here on the journey imagines that it worked; without an answer to go on with, it is a good one.
            if not self._is_imagined:
                self._is_imagined, self._without = True, plain(self._mine.model)
            return StepAnswer(Page(200, {}, b"", "", send=self._http.ask), is_accepted=True, is_logged_out=False)
        elif page is not None and page.status < 400:
            self._is_loose = True  # it was answered, and not as expected: it may have taken effect all the same
        return None

    # who is logged out

    def _is_away(self, page: Page, expected: frozenset[int] | None) -> bool:
        """Whether an answer says by itself that the session is gone."""
        if page.status == 401 and expected is not None and 401 in expected:
            return False
        guessed = self._mine.login_page or self._login_page.known(self._target_of(page))
        try:
            with own_code():
                return self._mine.is_logged_out(page, guessed)
        except (SystemExit, KeyboardInterrupt) as exc:  # it must not end the loop
            if is_from_outside(exc):
                raise
            raise broken_by(type(self._mine).__name__, exc) from exc

    def _is_away_by_itself(self, page: Page) -> bool:
        """Whether this says that nobody is logged in, as the login page does that is shown in place of another."""
        return self._is_away(page, None) or self._login_page.is_shown_by(page)

    def _doubt_of(self, page: Page, device: Device, *, reads: bool) -> Callable[[], Awaitable[bool]] | None:
        """How to find out whether an answer to a logged-in user turns that one away; None where it does not look so."""
        if self._is_suspect(page, reads=reads):
            return partial(self._is_asked_to_log_in, page, device)
        login, path = self._login_page, page.path.partition("?")[0]
        if not self._read or self._shows_form or path == login.path or not login.stands_in(page):
            return None
        return partial(self._is_login_in_place, device)

    def _is_suspect(self, page: Page, *, reads: bool) -> bool:
        """Whether it redirects to where a login began: a login page, or one that users come back to as well.

        Users come back there from what they write; where a read sends them to is asked each time.
        """
        login = self._login_page
        if page.status not in REDIRECTS or self._mine.login_page:
            return False
        if not login.path or not leads_to(page, login.path):
            return False
        return reads or not login.is_harmless(self._target_of(page))

    def _target_of(self, page: Page) -> str:
        """The path and query that it redirects to within the app; empty for none."""
        if page.status not in REDIRECTS:
            return ""
        try:
            return self._http.inside(page.path, page.header("location"))
        except Unexpected:
            return ""

    def _asks_here(self, asked: RequestSpec, page: Page) -> bool:
        """Whether what a redirect led to is the login page, and asks to log in: the redirect alone did not say so."""
        login = self._login_page
        if not asked.is_led_to or self._mine.login_page or not login.path:
            return False
        return urlsplit(asked.path).path == login.path and login.is_shown_by(page)

    async def _is_asked_to_log_in(self, page: Page, device: Device) -> bool:
        """Follow a redirect to where a login began, as a browser does: what comes there says whether it is a logout."""
        came: Page | None = None

        def look(answer: HttpAnswer) -> Look:
            nonlocal came
            came = Page(answer.status, answer.headers, answer.body, path)
            return Look(Meaning.APPLIED if answer.status < 500 else Meaning.UNKNOWN)

        path = self._http.inside(page.path, page.header("location"))
        (tab,) = device.tabs(1)
        await tab.do(Kind.BROWSE, "GET", path, argument=f"GET {path}", look=look)
        is_asked = came is not None and self._login_page.is_shown_by(came)
        if came is not None:
            self._login_page.found(path, asks=is_asked)
        return is_asked

    async def _is_login_in_place(self, device: Device) -> bool:
        """Whether the login page is shown in place of what `state` gets, too, and not by a page of its own."""
        if self._kind is _READ:
            return True  # no state before was made from such a page
        is_shown = False

        def look(answer: HttpAnswer) -> Look:
            nonlocal is_shown
            is_shown = self._login_page.stands_in(Page(answer.status, answer.headers, answer.body, self._read))
            return Look(Meaning.APPLIED if answer.status < 500 else Meaning.UNKNOWN)

        (tab,) = device.tabs(1)
        for _ in range(LOOKS_ELSEWHERE):
            await tab.do(Kind.BROWSE, "GET", self._read, argument=f"GET {self._read}", look=look)
            if is_shown:
                return True
        return False

    # running it

    async def _run(self, kind: Kind, what: Callable[[Http], T]) -> T:
        self._kind = kind
        try:
            return await self._fibers.run(what, self._http)
        except (Unexpected, _InDoubt):
            raise
        except LabError:
            if self._is_imagined:
                raise _InDoubt from None
            raise
        except BaseException as exc:  # what ends a test, such as pytest.fail, is no Exception
            if is_from_outside(exc):
                raise
            if self._is_imagined and not isinstance(exc, SystemExit):
                raise _InDoubt from exc  # it wanted more of an answer than there was
            broken = broken_by(type(self._mine).__name__, exc)
            if kind is Kind.READ and isinstance(exc, Exception) and self._account.has_read and self._was_answered():
                # It could read a state before: what it was shown now has none.
                raise Unexpected(f"no state was shown: {broken.what} at {broken.at}") from exc
            raise broken from exc


def _location(came: HttpAnswer) -> str:
    where = came.head.headers.get(b"location")
    return where.decode("latin-1") if where else ""


def broken_by(name: str, exc: BaseException) -> UsageError:
    """What somebody's own code did wrong, and where."""
    if isinstance(exc, RuntimeError) and isinstance(exc.__cause__, StopIteration):
        exc = exc.__cause__  # which no coroutine lets through
    what, at = blame(exc, caller=__file__)
    return UsageError(f"{name} broke: {what}", at=at)
