"""One user tries a journey out on one replica: every request with its line, and what became of its answer."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Literal, TypeVar

from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.errors import UsageError
from lab.model import Kind, Operation, Value
from lab.users.accounts import CrowdSize, plan_accounts
from lab.users.device import Device, User
from lab.users.loading import MakeUser, OwnUsers
from lab.users.loop_thread import line_of
from lab.users.own import Browser, Http, RequestSpec, StepAnswer, UserJourney
from lab.users.page import Page, Unexpected
from lab.users.tries import Tries
from lab.users.turns import Turns
from lab.users.wire import Door

SHOWN = 160
"""Characters of an answer that are told."""
STUCK_AFTER = 2.0
"""Seconds after the end of its time in which a trial must have ended, unless its journey does not return."""
HERE = Path(__file__).parent

T = TypeVar("T")
Part = Literal["log_in", "act", "state", "log_out"]
PARTS: tuple[Part, ...] = ("log_in", "act", "state", "log_out")
Came = Literal["done", "unexpected", "logged out", "no answer"]


class TriedRequest(Value):
    """One request, what was answered, and what the journey took that for."""

    part: Part
    line: str
    """Where in the journey it was asked for: "journey.py:12"."""
    asked: str
    """As "POST /login"."""
    result: str
    came: Came
    to: str = ""
    """Where the answer redirects to."""
    replica: str = ""
    seconds: float = 0.0
    said: str = ""
    """The beginning of the answer's text, where it was not what the journey wanted."""


class TriedState(Value):
    """A state that was read, and what it was compared with."""

    shown: Any
    allowed: tuple[Any, ...] | None
    """None: whatever the app shows first."""
    could_not_fail: str = ""
    ended_early: str = ""
    """Why the action before ended early; empty where it did not."""

    @property
    def fits(self) -> bool:
        return self.allowed is None or self.shown in self.allowed


class PartEnded(Value):
    """A part of the journey is over; `why` says what ended it early."""

    part: Part
    line: str
    why: str = ""


TriedStep = TriedRequest | TriedState | PartEnded


class Tried(Value):
    """What came of a trial: `mistake` is what keeps this journey from proving anything, "" for nothing."""

    user: str
    steps: tuple[TriedStep, ...]
    mistake: str = ""
    is_in: bool = False
    """Whether the user was logged in once."""
    compared: int = 0
    """Reads that could have shown a loss."""
    is_stuck: bool = False
    """Whether the journey did not return at all."""


def user_to_try(number: int, seed: int, prefix: str = "user") -> User:
    """An account, which may be another one than those of a crowd."""
    size = CrowdSize(users=1, two_devices=0, first=number, prefix=prefix)
    _, [(user, _)] = plan_accounts(size, random.Random(seed))
    return user


class Trial:
    """One user, alone at `door`, whose answers must all come from one replica: what goes wrong is then the journey's
    mistake or the app's own, and no matter of several replicas.

    `tell` gets each step as it is done.
    """

    def __init__(
        self,
        make: MakeUser,
        door: Door,
        *,
        user: User,
        policy: Tries,
        turns: Turns | None = None,
        tell: Callable[[TriedStep], None] = lambda _: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._make, self._door, self._tell, self._clock = make, door, tell, clock
        self._user, self._steps = user, list[TriedStep]()
        self._operations: list[Operation] = []
        self._part: Part = "log_in"
        self._device = Device(
            user,
            1,
            targets=[door],
            seed=f"{user.name}/trial",
            ids=itertools.count(),
            witness=self,
            policy=policy,
            turns=turns,
            clock=clock,
        )

    async def run(self, actions: int, *, within: float) -> Tried:
        """Log in once, act so many times and read back after each; at most `within` seconds. Raises nothing for what
        the app or the journey does."""
        mistake = ""
        try:
            async with asyncio.timeout(within):
                await self._live(actions)
        except TimeoutError:
            mistake = f"not over after {within:g} s: {self._last_asked()}"
        except UsageError as exc:
            mistake = f"{exc.at}: {exc.what}" if exc.at else exc.what
        finally:
            await self._device.close()
        return Tried(
            user=self._user.name,
            steps=tuple(self._steps),
            mistake=mistake or mistake_in(self._steps),
            is_in=any(isinstance(one, PartEnded) and one.part == "log_in" and not one.why for one in self._steps),
            compared=sum(isinstance(one, TriedState) and not one.could_not_fail for one in self._steps),
        )

    def run_apart(self, actions: int, *, within: float) -> Tried:
        """The same in a thread of its own, which is left behind where the journey does not return: it is told where."""
        came: list[Tried] = []
        thread = threading.Thread(
            target=lambda: came.append(asyncio.run(self.run(actions, within=within))), name="trial", daemon=True
        )
        thread.start()
        thread.join(within + STUCK_AFTER)
        if came:
            return came[0]
        mistake = f"{line_of(thread)} did not return"
        return Tried(user=self._user.name, steps=tuple(self._steps), mistake=mistake, is_stuck=True)

    async def _live(self, actions: int) -> None:
        origin = f"http://{self._door.authority}"
        driven = OwnUsers(self._followed, origin, through=lambda browser: _Followed(browser, self.note))(self._device)
        await driven.log_in()
        last = self._steps[-1] if self._steps else None
        if not self._device.is_logged_in and isinstance(last, PartEnded) and not last.why:  # seen only afterwards
            self._steps.pop()
            self._add(PartEnded(part="log_in", line="", why=self._device.last.partition(" (")[0]))
        for _ in range(actions):
            if not self._device.is_logged_in:
                return
            await driven.act()
        if driven.can_log_out and self._device.is_logged_in:
            await driven.log_out()

    def _followed(self, name: str, number: int, password: str, chance: random.Random) -> UserJourney:
        """The journey, each part of which says when it ends."""
        mine = self._make(name, number, password, chance)
        for part in PARTS:
            setattr(mine, part, self._part_of(part, getattr(mine, part)))
        return mine

    def _part_of(self, part: Part, do: Callable[[Http], T]) -> Callable[[Http], T]:
        def followed(http: Http) -> T:
            self._part = part
            try:
                came = do(http)
            except Unexpected as exc:
                self._add(PartEnded(part=part, line=line_in(exc), why=str(exc)))
                raise
            self._add(PartEnded(part=part, line=""))
            return came

        return followed

    # what is told of requests, and by the device

    def note(self, asked: RequestSpec, told: StepAnswer, line: str) -> None:
        """A request has ended."""
        done = self._operations[-1] if self._operations else None
        final = None if done is None else done.final
        page = told.page
        came: Came = "done"
        if told.is_logged_out:
            came = "logged out"
        elif page is None or (final is not None and not final.answered):
            came = "no answer"
        elif not told.is_accepted:
            came = "unexpected"
        self._add(
            TriedRequest(
                part=self._part,
                line=line,
                asked=f"{asked.method} {asked.path}",
                result="" if final is None else final.result,
                came=came,
                to="" if page is None else page.header("location"),
                replica=(final.replica or "") if final is not None else "",
                seconds=0.0 if done is None else (done.end - done.begin) / NS,
                said="" if came == "done" or page is None else words_of(page),
            )
        )

    def ended(self, operation: Operation) -> None:
        if not operation.is_conclusion:
            self._operations.append(operation)
        elif operation.kind is Kind.STATE:
            self._add(
                TriedState(
                    shown=operation.answer,
                    allowed=operation.allowed,
                    could_not_fail=operation.could_not_fail,
                    ended_early=operation.ended_early or "",
                )
            )

    def _add(self, step: TriedStep) -> None:
        self._steps.append(step)
        self._tell(step)

    def _last_asked(self) -> str:
        asked = [one for one in self._steps if isinstance(one, TriedRequest)]
        return f"the last answer was that to {_told(asked[-1])}" if asked else "nothing was answered"


class _Followed(Browser):
    """A journey's browser, whose every request is told with the line that asks for it."""

    def __init__(self, inner: Browser, note: Callable[[RequestSpec, StepAnswer, str], None]) -> None:
        self._inner, self._note = inner, note

    @property
    def origin(self) -> str:
        return self._inner.origin

    def do(self, asked: RequestSpec) -> StepAnswer:
        line = line_of_caller()
        told = self._inner.do(asked)
        self._note(asked, told, line)
        return told

    def do_together(self, asked: list[RequestSpec]) -> list[StepAnswer]:
        line = line_of_caller()
        told = self._inner.do_together(asked)
        for request, answer in zip(asked, told, strict=True):
            self._note(request, answer, line)
        return told

    def cookies(self, path: str) -> dict[str, str]:
        return self._inner.cookies(path)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


def mistake_in(steps: list[TriedStep]) -> str:
    """Why nothing would be checked of whoever lives like this; "" where something would."""
    return _broken_off(steps) or _no_action(steps) or _nothing_compared(steps)


def _broken_off(steps: list[TriedStep]) -> str:
    """The first thing that can't be meant."""
    asked: TriedRequest | None = None
    for step in steps:
        match step:
            case TriedRequest():
                asked = step
            case PartEnded(part="log_in", why=why, line=line) if why:
                return _why(f"nobody gets in: {why}", line, asked)
            case PartEnded(part="state", why=why, line=line) if why:
                return _why(f"state() can't be read: {why}", line, asked)
            case TriedState() if not step.fits:
                return (
                    f"after act() the app shows {short(step.shown)}, and the journey's model holds"
                    f" {short((step.allowed or (None,))[-1])}: on one replica that nobody touched"
                )
            case _:
                pass
    return ""


def _no_action(steps: list[TriedStep]) -> str:
    acts = [one for one in steps if isinstance(one, PartEnded) and one.part == "act"]
    if not acts:
        return "act() was never reached"
    if any(not one.why for one in acts):
        return ""
    failing = [one for one in steps if isinstance(one, TriedRequest) and one.part == "act" and one.came != "done"]
    return _why(f"every act() ends early: {acts[-1].why}", acts[-1].line, failing[-1] if failing else None)


def _nothing_compared(steps: list[TriedStep]) -> str:
    states = [one for one in steps if isinstance(one, TriedState)]
    if not states:
        return "state() was never compared"
    could_not = all(one.could_not_fail for one in states)
    return f"no read could have shown a loss: {states[-1].could_not_fail}" if could_not else ""


def _why(what: str, line: str, asked: TriedRequest | None) -> str:
    if asked is None:
        return f"{line}: {what}" if line else what
    line = line or asked.line
    said = f": {asked.said!r}" if asked.said else ""
    return f"{line + ': ' if line else ''}{what} [{_told(asked)}{said}]"


def _told(asked: TriedRequest) -> str:
    to = f" (to {asked.to})" if asked.to else ""
    return f"{asked.asked} -> {asked.result}{to}{f' by {asked.replica}' if asked.replica else ''}"


def short(what: Any, most: int = 72) -> str:
    """A value for one line; of a long one the end, which was written last."""
    text = str(what)
    return text if len(text) <= most else f"...{text[-most:]}"


_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def words_of(page: Page) -> str:
    """The beginning of what an answer says to a person, without its tags."""
    try:
        text = page.text
    except Unexpected as exc:
        return str(exc)
    return short_from(" ".join(_TAGS.sub(" ", text).split()))


def short_from(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def line_of_caller() -> str:
    """The innermost line of somebody's own file on this stack; of a journey without Python, which of its steps."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        here = Path(frame.f_code.co_filename)
        if here.parent != HERE:
            return f"{here.name}:{frame.f_lineno}"
        said = getattr(frame.f_locals.get("self"), "step_under_way", "")
        if said:
            return str(said)
        frame = frame.f_back
    return ""


def line_in(exc: BaseException) -> str:
    """The same of an error that was raised from there."""
    line, trace = "", exc.__traceback__
    while trace is not None:
        here = Path(trace.tb_frame.f_code.co_filename)
        if here.parent != HERE:
            line = f"{here.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return line
