"""What is known so far of an operation that is under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from lab.model import Kind, Try

Normalise = Callable[[Any], Any]
"""Takes an answer's decoded JSON and gives the operation's `answer`; raises for any other shape than promised."""

WRONG_SHAPE = (LookupError, TypeError, ValueError, AttributeError, RecursionError, msgspec.MsgspecError)
"""What reading an answer of the wrong shape may raise."""


def nothing(_: Any) -> None:
    """The normalised answer of an operation whose answer holds nothing to compare."""


_decode = msgspec.json.Decoder().decode


class Story:
    """What is known so far of an operation under way."""

    __slots__ = (
        "all_harmless",
        "answer",
        "answered_as",
        "argument",
        "due",
        "is_accepted",
        "is_repeatable",
        "key",
        "kind",
        "session",
        "tries",
        "trying_since",
        "turned_away",
    )

    def __init__(
        self, kind: Kind, key: str | None, argument: str | int | None, session: str | None, due: int | None
    ) -> None:
        self.kind, self.key, self.argument = kind, key, argument
        self.session, self.due = session, due
        self.tries: list[Try] = []
        self.all_harmless = True
        self.answer: Any = None
        self.answered_as: str | None = None
        self.trying_since = 0
        self.is_repeatable = True
        self.is_accepted: bool | None = None
        """Whether somebody's own app said what was expected; None: the status tells."""
        self.turned_away = False

    def add(self, done: Try, *, harmless: bool) -> None:
        self.tries.append(done)
        self.all_harmless = self.all_harmless and harmless

    def read(self, body: bytes, normalise: Normalise) -> bool:
        """Whether a 2xx answer had the promised shape; whom it claims to be for is kept in any case."""
        try:
            said = _decode(body)
            account = said.get("account") if isinstance(said, dict) else None
            if isinstance(account, str):
                self.answered_as = account
            self.answer = normalise(said)
        except WRONG_SHAPE:
            return False
        return True
