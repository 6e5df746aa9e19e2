"""What is known so far of an operation that is under way."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from lab.model import Kind, Try

Normalise = Callable[[Any], Any]
"""Takes an answer's decoded JSON and gives the operation's `answer`; raises for any other shape than promised."""

WRONG_SHAPE = (LookupError, TypeError, ValueError, AttributeError, RecursionError, msgspec.MsgspecError)
"""What reading an answer of the wrong shape may raise."""


def nothing(_: Any) -> None:
    """The normalised answer of an operation whose answer holds nothing to compare."""


class Story:
    """What is known so far of an operation under way."""

    __slots__ = (
        "all_harmless",
        "answer",
        "answered_as",
        "argument",
        "due",
        "key",
        "kind",
        "session",
        "tries",
        "trying_since",
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

    def add(self, done: Try, *, harmless: bool) -> None:
        self.tries.append(done)
        self.all_harmless = self.all_harmless and harmless

    def read(self, body: bytes, normalise: Normalise) -> bool:
        """Whether a 2xx answer had the promised shape; whom it claims to be for is kept in any case."""
        try:
            said = msgspec.json.decode(body)
            account = said.get("account") if isinstance(said, dict) else None
            if isinstance(account, str):
                self.answered_as = account
            self.answer = normalise(said)
        except WRONG_SHAPE:
            return False
        return True


@lru_cache(maxsize=1024)
def slots_of(edge: str) -> tuple[str, ...]:
    """The slots that X-Edge names, in the order tried: `unix:/run/slots/a1.sock, -` is `("a1",)`.

    An address that is no slot's socket stays as it is.
    """
    addresses = re.split(r"\s*,\s*|\s+:\s+", edge.strip())
    return tuple(address.rpartition("/")[2].removesuffix(".sock") for address in addresses if address not in {"", "-"})
