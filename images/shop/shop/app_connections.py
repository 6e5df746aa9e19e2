"""Connections to somebody's own app, kept between requests as proxies keep them, and asked how the app is."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from shop.framing import CHUNK, Broken, Head, read_head
from shop.listening import listens_on

LONGEST_IDLE = 60.0
"""Seconds that a connection is kept without a request: what nginx does unless it is told otherwise."""
MOST_IDLE = 32
LOOK = 0.05
"""Seconds between two looks for connections that the app closed while they were idle."""
LEAST_CLOSED, AGREES, NEAR = 3, 0.8, 0.15
"""So many must have been closed, and such a share of them after the same time (to a tenth of it, and so many seconds),
to call it the app's own limit: one that ends, or starts its workers anew, closes them at any age."""
QUICK = 0.7
"""Seconds in which the lab's question is answered whatever the app does: a deployer waits no longer than one second."""


@dataclass(slots=True)
class Connection:
    """One connection to the app."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since: float = 0.0

    @property
    def is_open(self) -> bool:
        return not (self.reader.at_eof() or self.writer.is_closing())

    def close(self) -> None:
        self.writer.close()


@dataclass(slots=True)
class Connections:
    """To one app. The one that was used last is used next, so that the others may grow old.

    One that the app closes just when a request is sent on it costs that request, as it does behind any proxy.
    """

    port: int
    keeps: bool = True
    now: Callable[[], float] = time.monotonic
    _idle: list[Connection] = field(default_factory=list)
    _closed: deque[float] = field(default_factory=lambda: deque(maxlen=100))
    """For how many seconds those had been idle that the app closed."""

    async def take(self) -> Connection:
        """An idle one that is open, or a new one. Raises OSError where the app does not listen."""
        oldest = self.now() - LONGEST_IDLE
        while self._idle:
            one = self._idle.pop()
            if one.is_open and one.idle_since > oldest:
                return one
            one.close()
        return await self.open()

    async def watch(self) -> None:
        """Look for ever for those that the app closes."""
        while True:
            await asyncio.sleep(LOOK)
            self.look()

    def look(self) -> None:
        """Drop those that the app has closed, and note how long they had been idle."""
        now = self.now()
        gone = [one for one in self._idle if not one.is_open]
        ages = [now - one.idle_since for one in gone]
        for one in gone:
            self._idle.remove(one)
            one.close()
        if ages and max(ages) - min(ages) <= 2 * LOOK:  # else all went at once: it ended
            self._closed.extend(ages)

    @property
    def idle_limit(self) -> float | None:
        """Seconds after which the app closes whatever is idle, as far as that was seen; None where it does not."""
        if len(self._closed) < LEAST_CLOSED:
            return None
        limit = median(self._closed)
        near = sum(abs(one - limit) <= NEAR + limit / 10 for one in self._closed)
        return limit if near >= AGREES * len(self._closed) else None

    async def open(self) -> Connection:
        """A new one. Raises OSError where the app does not listen."""
        return Connection(*await asyncio.open_connection("127.0.0.1", self.port, limit=CHUNK))

    def give_back(self, one: Connection) -> None:
        """Its request is answered and more may follow."""
        if not self.keeps or len(self._idle) >= MOST_IDLE or not one.is_open:
            one.close()
            return
        one.idle_since = self.now()
        self._idle.append(one)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


@dataclass(slots=True)
class Seen:
    """What came of asking the app whether it is ready."""

    text: str
    """For a person: "GET /healthz on 8000: 503"."""
    status: int | None = None
    """None: it did not answer."""


@dataclass(slots=True)
class Readiness:
    """Asks the app whether it is ready, once at a time and for as long as it may take, and knows its last word.

    An app that is slow is not taken for one that is gone: as long as it answers anybody, its last word counts.
    """

    connections: Connections
    patience: float
    """Seconds that the app may take to answer."""
    answered_at: float = float("-inf")
    """When it last answered anybody."""
    _last: Seen | None = None
    _asking: asyncio.Task[Seen] | None = None

    async def ask(self, question: Head) -> Seen:
        """What it says, within QUICK seconds, to a request for the path that tells."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(question))
        done, _ = await asyncio.wait({self._asking}, timeout=QUICK)
        if done:
            return self._asking.result()
        what, waited = self._what(question), time.monotonic() - self.answered_at
        if self._last is not None and self._last.status is not None and waited < self.patience:
            return Seen(f"{what}: slow; before, it said {self._last.status}", self._last.status)
        return Seen(f"{what}: no answer yet")

    def note_answer(self) -> None:
        """The app answered somebody."""
        self.answered_at = time.monotonic()

    async def _ask(self, question: Head) -> Seen:
        what = self._what(question)
        try:
            async with asyncio.timeout(self.patience):
                seen = await self._exchange(question, what)
        except ConnectionRefusedError:
            seen = Seen(f"{what}: connection refused; {listens_on()}")
        except TimeoutError:
            seen = Seen(f"{what}: no answer in {self.patience:g} s")
        except (OSError, Broken) as exc:
            seen = Seen(f"{what}: {exc or 'connection closed'}")
        self._last = seen
        return seen

    async def _exchange(self, question: Head, what: str) -> Seen:
        app = await self.connections.open()
        try:
            app.writer.write(question.without({b"connection"}).with_lines(b"Connection: close").encode())
            head = await read_head(app.reader)
            while head is not None and 100 <= head.status < 200:
                head = await read_head(app.reader)
        finally:
            app.close()
        if head is None:
            return Seen(f"{what}: closed without an answer")
        self.note_answer()
        return Seen(f"{what}: {head.status}", head.status)

    def _what(self, question: Head) -> str:
        path = question.first.split(b" ")[1].decode("latin-1")
        return f"GET {path} on {self.connections.port}"
