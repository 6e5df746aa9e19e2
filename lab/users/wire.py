"""One user's keep-alive HTTP connection, exact about what became of each request."""

from __future__ import annotations

import asyncio
import importlib
import ssl
from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import cast

import httptools

from lab.clock import NS, Clock
from lab.model import TryResult, Value
from lab.users.head import OF_THE_LAB, Head, HeaderNames, KnownHeads, named_by_body, read_head
from lab.users.turns import Turns

TOO_MANY = 429
"""The status of an answer that asks for fewer requests."""
MOST_BYTES = 64 << 20
"""An answer longer than this (head and body) is given up as cut: nobody's memory is the app's to fill."""


@cache
def _heads_known_by(_names: HeaderNames) -> KnownHeads:
    """For all connections to whoever says by these headers who answers: there the same bytes mean the same."""
    return KnownHeads()


class Door(Value):
    """Where users find the app."""

    port: int
    host: str = "127.0.0.1"
    names: HeaderNames = OF_THE_LAB
    """How answers from there say who answered."""
    prefix: str = ""
    """What stands before every path there, where the door leads to one replica alone."""
    tls: ssl.SSLContext | None = None
    """By what its certificate is verified; None: it speaks plain HTTP."""
    server_name: str = ""
    """The name for which its certificate must be; empty: `host`."""
    is_own: bool = True
    """It is a door of the lab's own cluster, wherever its engine is."""

    @property
    def is_secure(self) -> bool:
        """Whether cookies for TLS alone go there: a test's own cluster stands for one that is behind TLS."""
        return self.is_own or self.tls is not None

    @property
    def authority(self) -> str:
        """Host and port, as browsers write them in a URL: its scheme's usual port is left out."""
        return _authority(self.host, self.port, 80 if self.tls is None else 443)

    @property
    def origin(self) -> str:
        """Scheme and authority."""
        return f"{'http' if self.tls is None else 'https'}://{self.authority}"


@lru_cache(maxsize=64)
def _authority(host: str, port: int, usual: int) -> str:
    host = f"[{host}]" if ":" in host else host
    return host if port == usual else f"{host}:{port}"


class HttpAnswer(Value, kw_only=False, gc=False):
    """One full answer."""

    head: Head
    body: bytes

    @property
    def status(self) -> int:
        return self.head.status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return self.head.headers

    def header(self, name: bytes) -> str:
        return self.head.header(name)


class Exchange(Value, kw_only=False, gc=False):
    """What became of one request.

    `begin` was taken when it was its turn, before a byte of it was sent, `end` after the last byte of its answer was
    read, or when it was certain that there would be none. `came` is the full answer or why there is none.
    """

    begin: int
    end: int
    came: HttpAnswer | TryResult


def quickest_loop() -> asyncio.AbstractEventLoop:
    """A new uvloop event loop where that imports, else asyncio's own."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return asyncio.new_event_loop()
    return cast("Callable[[], asyncio.AbstractEventLoop]", uvloop.new_event_loop)()


class Alarms:
    """Ends the requests that have lasted too long: one look at all that are under way, for a timer each would cost more
    memory than the rest of an idle connection. For one event loop.
    """

    LOOK = 0.05
    """Seconds between two looks, and so how late an end may be."""

    __slots__ = ("_asking", "_next", "leave")

    def __init__(self) -> None:
        self._asking: set[_Stream] = set()
        self.leave: Callable[[_Stream], None] = self._asking.discard
        """Its request is over. The set's own method: this happens with every request."""
        self._next: asyncio.TimerHandle | None = None

    def watch(self, stream: _Stream) -> None:
        """From now on its request may last until `stream.until`, by the loop's time."""
        self._asking.add(stream)
        if self._next is None:
            self._next = asyncio.get_running_loop().call_later(self.LOOK, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for stream in [one for one in self._asking if one.until <= now]:
            stream.give_up(TryResult.TIMEOUT)
        self._next = loop.call_later(self.LOOK, self._look) if self._asking else None


class Connection:
    """Sends one request at a time to a target over a connection that is kept alive between them.

    It sends nothing a second time, ever. A connection that is known to have ended before a request begins is
    replaced first, since nothing of the request was sent on it.

    Where several `targets` are doors to the same app it does as browsers do with several addresses of a name: it
    stays with one as long as that answers. One that can't be connected to is passed over within the same request,
    of which nothing was sent yet; after one that was silent or cut the request off, the next request tries another.
    """

    __slots__ = ("_alarms", "_clock", "_names_in_bodies", "_stream", "_targets", "_turns", "target")

    def __init__(self, *targets: Door, clock: Clock, alarms: Alarms | None = None, turns: Turns | None = None) -> None:
        """Connections of one event loop may share their `alarms`, and the `turns` that bound how much all send."""
        self._turns = turns
        self._targets, self._clock, self._alarms = targets, clock, alarms or Alarms()
        self._names_in_bodies = targets[0].names if targets[0].names.are_in_bodies else None
        self.target = targets[0]
        """The one that the last request went to."""
        self._stream: _Stream | None = None

    async def exchange(self, request: bytes, *, timeout: float) -> Exchange:
        """Send `request` once and wait for its answer, at most `timeout` seconds, connecting included.

        Never raises for what network or server do. If it is cancelled the connection is dropped, and the request
        may have been sent.
        """
        if self._turns is not None:
            await self._turns.take()
        begin = self._clock.now()
        stream = self._stream
        if stream is None or stream.ended:
            stream = self._stream = await self._connect(timeout)
            if stream is None:
                return Exchange(begin, self._clock.now(), TryResult.UNSENT)
            timeout -= (self._clock.now() - begin) / NS
        try:
            came = await stream.ask(request, timeout)
        except asyncio.CancelledError:
            stream.give_up(TryResult.CUT)
            raise
        if type(came) is not HttpAnswer:
            self._pass_over()
        else:
            if came.head.status == TOO_MANY and self._turns is not None:
                self._turns.hold(came.head.header(b"retry-after"), self._clock)
            if self._names_in_bodies is not None:
                came = HttpAnswer(named_by_body(came.head, came.body, self._names_in_bodies), came.body)
        return Exchange(begin, stream.answered_at, came)

    def another(self) -> Connection:
        """One more to the same targets, not connected yet."""
        return Connection(*self._targets, clock=self._clock, alarms=self._alarms, turns=self._turns)

    async def close(self) -> None:
        """Drop the connection and wait until its socket is closed; a later exchange would open a new one."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.drop()

    def _pass_over(self) -> None:
        after = self._targets.index(self.target) + 1
        self.target = self._targets[after % len(self._targets)]

    async def _connect(self, timeout: float) -> _Stream | None:
        until = self._clock.now() + int(timeout * NS)
        for _ in self._targets:
            stream = await self._connect_to(self.target, (until - self._clock.now()) / NS)
            if stream is not None and not stream.ended:
                return stream
            self._pass_over()
        return None

    async def _connect_to(self, target: Door, timeout: float) -> _Stream | None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                made = partial(self._new_stream, target.names)
                name = None if target.tls is None else target.server_name or target.host
                _, stream = await loop.create_connection(
                    made, target.host, target.port, ssl=target.tls, server_hostname=name
                )
        except OSError:  # refused, unreachable, a name or certificate that is unknown, or not in time
            return None
        return stream

    def _new_stream(self, names: HeaderNames) -> _Stream:
        return _Stream(self._clock, asyncio.get_running_loop(), self._alarms, names)


class _Stream(asyncio.Protocol):
    """One TCP connection's life; the parser calls back the methods `on_...`."""

    __slots__ = (
        "_alarms",
        "_body",
        "_clock",
        "_cookies",
        "_head",
        "_headers",
        "_known",
        "_loop",
        "_lost",
        "_names",
        "_parser",
        "_received",
        "_transport",
        "_waiter",
        "answered_at",
        "ended",
        "until",
    )

    def __init__(self, clock: Clock, loop: asyncio.AbstractEventLoop, alarms: Alarms, names: HeaderNames) -> None:
        self._names, self._known = names, _heads_known_by(names)
        self._clock, self._loop, self._alarms = clock, loop, alarms
        self.until = 0.0
        """The loop's time at which the request under way has lasted too long."""
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[HttpAnswer | TryResult] | None = None
        self._lost: asyncio.Future[None] | None = None
        self._received = 0
        self._body: bytes | bytearray = b""
        self._headers: dict[bytes, bytes] = {}
        self._cookies: tuple[bytes, ...] = ()
        self._head: Head | None = None
        """Of the answer that the parser has just read."""
        self.answered_at = 0
        self.ended = False
        """Nothing may be sent on it any more."""

    def ask(self, request: bytes, timeout: float) -> asyncio.Future[HttpAnswer | TryResult]:
        """Send a request; what came of it, `timeout` seconds later at most. Only one may be under way."""
        loop = self._loop
        self._waiter = waiter = loop.create_future()
        self._received = 0
        self.until = loop.time() + timeout
        self._alarms.watch(self)
        if self._transport is not None:  # it is, until connection_lost, and then `ended` says so
            self._transport.write(request)
        return waiter

    def give_up(self, fate: TryResult) -> None:
        """Close the connection now; a request that is still under way ends as `fate`."""
        self.ended = True
        self._settle(fate)
        if self._transport is not None:
            self._transport.abort()

    async def drop(self) -> None:
        """Close the connection and wait until its socket is closed."""
        if self._transport is not None:
            self._lost = self._loop.create_future()
            self.give_up(TryResult.CUT)
            await self._lost

    def _settle(self, came: HttpAnswer | TryResult) -> None:
        waiter, self._waiter = self._waiter, None
        self._alarms.leave(self)
        if waiter is not None and not waiter.done():
            self.answered_at = self._clock.now()
            waiter.set_result(came)

    # what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._received and self._waiter is not None:
            head, body = self._known.split(data)
            if head is not None:
                self._settle(HttpAnswer(head, body))
                return
        self._received += len(data)
        if self._waiter is None or self._received > MOST_BYTES or self._parser is None:
            self.give_up(TryResult.CUT)
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.give_up(TryResult.CUT)
        read, self._head = self._head, None
        if read is not None and self._received == len(data) and not self.ended:
            self._known.learn(data, read)

    def eof_received(self) -> None:
        self.ended = True  # the loop closes the transport next

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- the loop's signature
        # An answer whose end only this close could tell is cut too: nobody can say that it was whole.
        self.ended = True
        self._settle(TryResult.CUT)
        self._transport = self._parser = None
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    # what the parser calls

    def on_message_begin(self) -> None:
        self._headers, self._cookies, self._body = {}, (), b""

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"set-cookie":
            self._cookies += (value,)
        else:
            self._headers[name] = value

    def on_body(self, part: bytes) -> None:
        if not self._body:
            self._body = part
            return
        if isinstance(self._body, bytes):  # so that a long one is not copied with each of its pieces
            self._body = bytearray(self._body)
        self._body += part

    def on_message_complete(self) -> None:
        parser = self._parser
        status = 0 if parser is None else parser.get_status_code()
        if parser is None or status < 200:  # an interim answer (100, 103): the real one follows
            return
        if self._waiter is None:  # a second answer to one request
            self.give_up(TryResult.CUT)
            return
        if not parser.should_keep_alive():
            self.ended = True
            if self._transport is not None:
                self._transport.close()
        self._head = head = read_head(status, self._headers, self._cookies, self._names)
        answer = HttpAnswer(head, bytes(self._body))
        self.on_message_begin()  # ten thousand idle connections need not keep their last answers
        self._settle(answer)
