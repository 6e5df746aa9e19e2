"""Drives somebody's own journey on a device: its plain methods in a thread, its requests in the crowd's loop."""

from __future__ import annotations

import asyncio
import importlib.util
import random
from collections.abc import Callable
from concurrent.futures import Executor
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from lab.errors import LabError, UsageError, blame
from lab.model import Kind, Outcome
from lab.users.device import Device
from lab.users.journey import Journey
from lab.users.meaning import Meaning, meaning_of, sends_to
from lab.users.own import Http, LoggedOut, Page, RequestSpec, StepAnswer, Unexpected, UserJourney
from lab.users.wire import HttpAnswer

LOOK = 0.5
"""Every so many seconds a user who waits for an answer looks whether the crowd is still there."""
NO_ANSWER_YET = frozenset({"408", "425", "429"})
"""Statuses that ask to come again later, and so say nothing of a state."""
LONG = 256
"""Bytes of a state from which on the record holds only its digest, where it is as it must be."""

T = TypeVar("T")
MakeUser = Callable[[str, int, str, random.Random], UserJourney]
"""From a name, a number, a password and chance."""
MakeJourney = Callable[[Device], UserJourney]


class _InDoubt(Exception):
    """What follows an action of unknown outcome can't be done: it is only imagined."""


class _LoginPage:
    """Where whoever must log in is sent, as far as a login shows it."""

    def __init__(self) -> None:
        self._first = self._got = self._posted_from = ""

    def asked(self, path: str, *, posts: bool) -> None:
        """A login asked for this, in its turn."""
        self._first = self._first or path
        if posts:
            self._posted_from = self._posted_from or self._got or path
        else:
            self._got = path

    @property
    def path(self) -> str:
        """The page that was got before the first post, else where it began; empty for "/", which may be home too."""
        path = self._posted_from or self._first
        return "" if path == "/" else path


class Driven(Journey):
    """One user's journey on one device, and what its model allows the app to show.

    After every action the state is read and compared. While an action's outcome is unknown nothing else is done but
    to read, until a read says which it was; a read that fits neither is a finding of the oracle's, and what was
    read is the model from then on, so that one loss is told once.

    An app that answers with something that is no state (a 404, another shape) shows none of what it had: the record
    then holds what was unexpected as the state that was read. Only an account that has nothing yet may have nothing
    to show.
    """

    def __init__(self, device: Device, make: MakeJourney, threads: Executor, origin: str) -> None:
        super().__init__(device)
        device.log_in = None  # a session that is lost ends the action; the next turn logs in
        self._threads = threads
        self._loop: asyncio.AbstractEventLoop | None = None
        self._http = Http(self._ask, origin)
        self._kind = Kind.BROWSE
        self._login_page = _LoginPage()
        self._is_imagined = False
        self._at_write = b""
        """The model when the app last accepted a write of this action, as JSON; empty for none."""
        self._without: Any = None
        """The model without the action that is in doubt."""
        self._mine = make(device)
        self._begun = _plain(self._mine.model)
        self._has_read = False
        self._before_redirect: tuple[Any, ...] = ()
        """The model before the first action since the last read that was answered with a redirect to where a login
        seems to begin: it holds if that read says that the session is gone."""
        self._allowed: tuple[Any, ...] | None = (self._begun,)

    async def log_in(self) -> None:
        self.device.forget_session()
        self._login_page = _LoginPage()
        try:
            await self._run(Kind.BROWSE, self._mine.log_in)
        except Unexpected as exc:
            self.device.last = str(exc)
            return
        self.device.conclude(Kind.LOGIN)

    async def act(self) -> None:
        if self._allowed is not None and len(self._allowed) == 1:
            await self._act()
        if self.device.is_logged_in:
            await self.read_back()

    async def read_back(self) -> bool:
        try:
            seen = _plain(await self._run(Kind.READ, self._mine.state))
        except LoggedOut:
            self._doubt_redirects()
            return False
        except Unexpected as exc:
            if not self._was_answered():
                return False
            if self._may_have_nothing():
                return True
            if self._allowed is not None:
                self.device.conclude(Kind.STATE, answer=str(exc), allowed=self._allowed)
                self._allowed = None  # until a read says how life goes on
            return False
        self._before_redirect = ()
        answer, allowed = _recorded(seen, self._allowed)
        self.device.conclude(Kind.STATE, answer=answer, allowed=allowed)
        self._allowed, self._has_read = (seen,), True
        self._mine.model = _plain(seen)
        return True

    def _doubt_redirects(self) -> None:
        """The session is gone: whoever was redirected to where a login begins may have been sent away."""
        if self._allowed is not None:
            self._allowed = (*self._before_redirect, *self._allowed)
        self._before_redirect = ()

    def _was_answered(self) -> bool:
        """Whether the app answered the read just before, and did not ask to come again later."""
        last = self.device.last
        return last.startswith(("2", "3", "4")) and last not in NO_ANSWER_YET

    def _may_have_nothing(self) -> bool:
        """Whether there may be nothing to show yet: no state was ever read, and none need have been written."""
        return not self._has_read and self._allowed is not None and self._begun in self._allowed

    async def _act(self) -> None:
        """Let the user act; both outcomes are allowed where one of them is unknown, any if the other isn't known."""
        self._is_imagined, self._at_write, is_whole, is_away = False, b"", True, False
        try:
            await self._run(Kind.ACT, self._mine.act)
        except (Unexpected, _InDoubt) as exc:
            is_whole = False  # what was written into the model until then was acknowledged
            is_away = isinstance(exc, LoggedOut)
        if self._is_imagined:
            self._allowed = (self._without, _plain(self._mine.model)) if is_whole else None
        elif not is_whole and self._at_write == _encoded(self._mine.model):
            self._allowed = None  # the app accepted more than the journey came to write into its model
        else:
            self._allowed = (_plain(self._mine.model),)
        self._is_imagined = False
        if is_away:
            self._doubt_redirects()

    # in the user's thread

    def _ask(self, asked: RequestSpec) -> StepAnswer:
        """One request of the journey's, done in the crowd's loop."""
        if self._is_imagined:
            raise _InDoubt
        loop = self._loop
        assert loop is not None  # noqa: S101 -- `_run` set it before this thread was given anything to do
        what = self._do(asked)
        try:
            told = asyncio.run_coroutine_threadsafe(what, loop)
        except RuntimeError:  # the crowd has ended
            what.close()
            raise
        while True:
            try:
                return told.result(timeout=LOOK)
            except TimeoutError:
                if loop.is_closed():
                    raise

    async def _do(self, asked: RequestSpec) -> StepAnswer:
        device, kind = self.device, self._kind
        reads = asked.method == "GET"
        if kind is Kind.BROWSE:
            self._login_page.asked(urlsplit(asked.path).path, posts=not reads)
        if kind is Kind.ACT and reads:
            kind = Kind.READ
        if kind is Kind.READ and not reads:
            raise UsageError("state() may only read", at=f"{asked.method} {asked.path}", hint="do it in act()")
        page: Page | None = None
        login_page = self._mine.login_page or self._login_page.path

        is_guess = not reads and not self._mine.login_page
        before = _plain(self._mine.model) if is_guess else None

        def look(came: HttpAnswer) -> Meaning:
            nonlocal page
            page = Page(came.status, came.headers, came.body, asked.path)
            is_away = kind is not Kind.BROWSE and self._is_logged_out(page, login_page)
            if is_away and is_guess and came.status != 401 and sends_to(came, login_page):
                # Apps redirect to a page that holds their login form after an action, too: the next read says which.
                self._before_redirect = self._before_redirect or (before,)
                is_away = False
            return meaning_of(came, expected=asked.expected, follows=True, is_away=is_away)

        done = await device.do(
            kind,
            asked.method,
            asked.path,
            asked.content,
            key=device.new_key() if asked.once and not reads else None,
            look=look,
            is_repeatable=reads or asked.once,
        )
        if done.session_rejected:
            return StepAnswer(page, is_accepted=False, is_logged_out=True)
        if done.outcome is Outcome.UNKNOWN and kind is Kind.ACT:
            # From here on the journey imagines that it worked; without an answer to go on with, it is a good one.
            self._is_imagined, self._without = True, _plain(self._mine.model)
            return StepAnswer(Page(200, {}, b"", asked.path), is_accepted=True, is_logged_out=False)
        if done.outcome is Outcome.OK and kind is Kind.ACT:
            self._at_write = _encoded(self._mine.model)
        answered = page if done.final.answered else None
        return StepAnswer(answered, is_accepted=done.outcome is Outcome.OK, is_logged_out=False)

    # in the crowd's loop

    def _is_logged_out(self, page: Page, login_page: str) -> bool:
        """As the journey has it, which must not end the loop: `sys.exit` in a task does."""
        try:
            return self._mine.is_logged_out(page, login_page)
        except SystemExit as exc:
            raise _broken(type(self._mine).__name__, exc) from exc

    async def _run(self, kind: Kind, what: Callable[[Http], T]) -> T:
        self._kind, self._loop = kind, asyncio.get_running_loop()
        try:
            return await self._loop.run_in_executor(self._threads, what, self._http)
        except (Unexpected, _InDoubt):
            raise
        except LabError:
            if self._is_imagined:
                raise _InDoubt from None
            raise
        except (Exception, SystemExit) as exc:
            if self._is_imagined and not isinstance(exc, SystemExit):
                raise _InDoubt from exc  # it wanted more of an answer than there was
            raise _broken(type(self._mine).__name__, exc) from exc


def _plain(state: Any) -> Any:
    """The state as it stands in the record. Raises UsageError for what is no plain data."""
    return msgspec.json.decode(_encoded(state))


def _recorded(seen: Any, allowed: tuple[Any, ...] | None) -> tuple[Any, tuple[Any, ...] | None]:
    """A state that was read and those that were allowed, as the record holds them: whole where they differ.

    Where they don't, nobody wants to read them, and lists that only grow would fill the disk with the square of the
    actions.
    """
    if allowed is None:
        return seen, None
    digest, digests = _digest(seen), tuple(_digest(one) for one in allowed)
    return (digest, digests) if digest in digests else (seen, allowed)


def _digest(state: Any) -> Any:
    """The state itself where it is short."""
    text = msgspec.json.encode(state, order="sorted")
    return f"{len(text)} bytes, sha256 {sha256(text).hexdigest()}" if len(text) > LONG else state


def _encoded(state: Any) -> bytes:
    try:
        return msgspec.json.encode(state)
    except (TypeError, msgspec.MsgspecError) as exc:
        raise UsageError(
            f"a state must be plain data: {exc}", at="journey", hint="lists, dicts, texts, numbers"
        ) from exc


def _broken(name: str, exc: BaseException) -> UsageError:
    what, at = blame(exc)
    return UsageError(f"{name} broke: {what}", at=at)


def load_journey(named: str) -> type[UserJourney]:
    """The class that "file.py:Class" names. Raises UsageError where it can't be loaded or is no journey."""
    file, _, name = named.rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None:
        raise UsageError("is no Python file", at=file)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as exc:
        what, at = blame(exc, file)
        raise UsageError(f"can't be loaded: {what}", at=at, hint=f"python3 {file}") from exc
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, UserJourney)):
        raise UsageError(f"{name} is no journey", at=file, hint=f"class {name}(lab.Journey): ...")
    if found.__abstractmethods__:
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise UsageError(f"{name} lacks {missing}", at=file, hint="def log_in, def act, def state")
    return found


def maker_of(kind: MakeUser) -> MakeJourney:
    """Makes each device's user; their numbers count from 1, as in their names."""

    def make(device: Device) -> UserJourney:
        number = int(device.user.name.rpartition("-")[2])
        chance = random.Random(device.chance.random())
        try:
            return kind(device.user.name, number, device.user.password, chance)
        except LabError:
            raise
        except (Exception, SystemExit) as exc:
            raise _broken(getattr(kind, "__name__", "the journey"), exc) from exc

    return make
