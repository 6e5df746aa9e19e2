"""A class as its trainer sees it: one seat for each participant, and how far each is."""

from __future__ import annotations

import re
import threading

import msgspec

from lab.clock import SYSTEM_CLOCK, Clock
from lab.errors import UsageError
from lab.model import Value

MOST_SEATS = 200
LONGEST = 80
"""Characters of anything that a seat says of itself."""
_NAME = re.compile(r"[\w.-][\w .-]{0,39}")


class SeatWord(Value, forbid_unknown_fields=True):
    """All that a seat ever says to the class: nothing else leaves its machine."""

    name: str
    lesson: str = ""
    """The number and title of the lesson that it is at."""
    failed: int = 0
    """Checks of that lesson that came to an honest no."""
    hints: int = 0
    passed: int = 0
    """Lessons passed in all."""
    broken: tuple[str, ...] = ()
    """The promises that the last check broke; none where it held."""
    is_done: bool = False
    """Whether the lesson that it is at is passed."""
    needs_help: bool = False


class Seat(Value):
    """One participant, with when it was heard of last and since when it waits. Seconds since the epoch."""

    word: SeatWord
    heard: float
    waits_since: float | None = None


class SeatPlan:
    """All seats of a class, told from any thread."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._seats: dict[str, Seat] = {}

    def take(self, word: SeatWord) -> None:
        """A seat says how far it is. Raises UsageError for a name that is none, and where the room is full."""
        check_seat_name(word.name)
        if any(len(text) > LONGEST for text in (word.lesson, *word.broken)) or len(word.broken) > 20:
            raise UsageError("is longer than a seat's word may be", at=word.name, hint="lab lesson join")
        now = self._clock.wall().timestamp()
        with self._lock:
            before = self._seats.get(word.name)
            if before is None and len(self._seats) >= MOST_SEATS:
                raise UsageError(f"the class has {MOST_SEATS} seats, and all are taken", at=word.name)
            since = (before.waits_since if before is not None else None) or now
            self._seats[word.name] = Seat(word=word, heard=now, waits_since=since if word.needs_help else None)

    def seats(self) -> tuple[Seat, ...]:
        """Who waits for help first, and longest; then by name."""
        with self._lock:
            there = list(self._seats.values())
        return tuple(sorted(there, key=lambda one: (one.waits_since is None, one.waits_since or 0.0, one.word.name)))

    def answer(self) -> bytes:
        """The same as JSON, for the trainer's page."""
        return msgspec.json.encode({"now": self._clock.wall().timestamp(), "seats": self.seats()})


def check_seat_name(name: str) -> None:
    """Raise UsageError for what can't be a seat's name."""
    if not _NAME.fullmatch(name):
        what = "is not a valid name (letters, digits, spaces, . _ and -, at most 40)"
        raise UsageError(what, at=name or "--as", hint="--as anna")
