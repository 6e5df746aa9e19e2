"""What is known so far of an operation that is under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from lab.model import Kind, Try
from lab.users.meaning import Meaning

_NOT_APPLIED, _LOGGED_OUT = Meaning.NOT_APPLIED, Meaning.LOGGED_OUT
"""As plain names: looking one up on its class takes longer than a call."""

WRONG_SHAPE = (LookupError, TypeError, ValueError, AttributeError, RecursionError, msgspec.MsgspecError)
"""What reading an answer of the wrong shape may raise."""


def nothing(_: Any) -> None:
    """The normalised answer of an operation whose answer holds nothing to compare."""


class _Seen(Protocol):
    @property
    def account(self) -> Any: ...


S = TypeVar("S", bound=_Seen)


class Wrong(Exception):
    """An answer of the promised shape shows what cannot be so, whatever was done before."""

    def __init__(self, answer: Any, why: str) -> None:
        super().__init__(why)
        self.answer, self.why = answer, why


class Reading(Generic[S]):
    """Reads answers of one shape, in one pass over the body: `decode` raises for any other.

    `keep` is given what was read and the operation's key (or argument, where it has no key), and gives the operation's
    `answer`; raises for what else was promised and isn't so, and Wrong for what cannot be.
    """

    __slots__ = ("decode", "keep")

    def __init__(self, decode: Callable[[bytes], S], keep: Callable[[S, Any], Any]) -> None:
        self.decode, self.keep = decode, keep


Normalise = Callable[[Any], Any] | Reading[Any]
"""Takes an answer's decoded JSON and gives the operation's `answer`; raises for any other shape than promised."""

_decode = msgspec.json.Decoder().decode


class OperationDraft(msgspec.Struct, gc=False):
    """What is known so far of an operation under way."""

    kind: Kind
    key: str | None
    argument: str | int | None
    session: str | None
    due: int | None
    is_repeatable: bool = True
    is_followed: bool = True
    """Whether the device's cookies and session follow what comes of it."""
    tries: tuple[Try, ...] = ()
    all_harmless: bool = True
    answer: Any = None
    answered_as: str | None = None
    meaning: Meaning = Meaning.UNKNOWN
    """Of the last try."""
    turned_away: bool = False
    doubt: Callable[[], Awaitable[bool]] | None = None
    """How to find out whether it is, where the answer alone does not say."""
    is_broken_off: bool = False
    is_page: bool = False
    repeats: int = 0
    answered_again: Any = None
    foreign: str | None = None
    wrong: str | None = None

    def add(self, done: Try, meaning: Meaning) -> None:
        self.tries += (done,)
        self.meaning = meaning
        # The word of the last replica says nothing of those that the balancer asked before it.
        is_harmless = meaning is _NOT_APPLIED or meaning is _LOGGED_OUT or self.doubt is not None
        if not is_harmless or len(done.edge) > 1:
            self.all_harmless = False

    @property
    def is_extraordinary(self) -> bool:
        """Whether there is more to tell than of most."""
        return self.repeats > 0 or self.foreign is not None or self.wrong is not None

    def read(self, body: bytes, normalise: Normalise) -> bool:
        """Whether a 2xx answer had the promised shape; whom it claims to be for is kept in any case."""
        if isinstance(normalise, Reading):
            try:
                seen = normalise.decode(body)
                if type(seen.account) is str:
                    self.answered_as = seen.account
                self.answer = normalise.keep(seen, self.key or self.argument)
            except Wrong as exc:
                self.answer, self.wrong = exc.answer, exc.why
            except WRONG_SHAPE:
                self._read_any(body, nothing)
                return False
            return True
        return self._read_any(body, normalise)

    def _read_any(self, body: bytes, normalise: Callable[[Any], Any]) -> bool:
        try:
            said = _decode(body)
            account = said.get("account") if isinstance(said, dict) else None
            if isinstance(account, str):
                self.answered_as = account
            self.answer = normalise(said)
        except Wrong as exc:
            self.answer, self.wrong = exc.answer, exc.why
        except WRONG_SHAPE:
            return False
        return True
