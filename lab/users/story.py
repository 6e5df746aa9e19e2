"""What is known so far of an operation that is under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from lab.model import Kind, Try

WRONG_SHAPE = (LookupError, TypeError, ValueError, AttributeError, RecursionError, msgspec.MsgspecError)
"""What reading an answer of the wrong shape may raise."""


def nothing(_: Any) -> None:
    """The normalised answer of an operation whose answer holds nothing to compare."""


class _Seen(Protocol):
    @property
    def account(self) -> Any: ...


S = TypeVar("S", bound=_Seen)


class Reading(Generic[S]):
    """Reads answers of one shape, in one pass over the JSON.

    `keep` is given what was read and the operation's key, and gives the operation's `answer`; raises for what else
    was promised and isn't so.
    """

    __slots__ = ("decode", "keep")

    def __init__(self, shape: type[S], keep: Callable[[S, str | None], Any]) -> None:
        self.decode = msgspec.json.Decoder(shape).decode
        self.keep = keep


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
    is_accepted: bool | None = None
    """Whether somebody's own app said what was expected; None: the status tells."""
    turned_away: bool = False
    doubt: Callable[[], Awaitable[bool]] | None = None
    """How to find out whether it is, where the answer alone does not say."""
    is_broken_off: bool = False

    def add(self, done: Try, *, harmless: bool) -> None:
        self.tries += (done,)
        if not harmless:
            self.all_harmless = False

    def read(self, body: bytes, normalise: Normalise) -> bool:
        """Whether a 2xx answer had the promised shape; whom it claims to be for is kept in any case."""
        if isinstance(normalise, Reading):
            try:
                seen = normalise.decode(body)
                if type(seen.account) is str:
                    self.answered_as = seen.account
                self.answer = normalise.keep(seen, self.key)
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
        except WRONG_SHAPE:
            return False
        return True
