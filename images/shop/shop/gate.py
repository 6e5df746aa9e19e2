"""Stands before an app that knows nothing of slots: owns its socket and passes requests on, as a proxy would.

It shares the app's network, and not its processes: what an app has written before it ended still reaches whoever
asked. Told to leave it takes no new request from the moment on in which a request is in the app, if one comes soon, and
says so: whoever told it then sends the app its own stop signal.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path

from shop.app_connections import Connection, Connections, Readiness
from shop.framing import CHUNK, Broken, Head, copy_all, copy_answer_body, copy_count, read_head
from shop.last_moment import LastMoment
from shop.life import Drain
from shop.listening import has_unread
from shop.slot import BACKLOG, Slot, has_callers

LOOK = 0.02
QUESTION, PASSED_ON = b"x-lab-question", b"x-lab-passed-on"
"""Headers of the lab's own: whether it is the lab that asks how the app is, and whether another gate was asked first.
The balancer lets neither in from outside."""
OF_SLOT = b"slot"
"""The lab asks whoever has the slot: the successor, while the one that leaves is in use for a last moment."""
_PASSED_ON = b"X-Lab-Passed-On: 1"
NOW = b"now\n"
"""What it writes when the app is to get its signal."""
_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection"})


class Gate:
    """Passes requests, one on each connection of the balancer's, to the app, and says who answered.

    A connection that the app does not take is passed on to whoever has another slot: nothing of it was sent, so any
    method may go elsewhere. One that it took and did not answer is dropped: only the balancer knows what may be
    repeated.
    """

    def __init__(
        self,
        listener: socket.socket,
        slot: Slot,
        *,
        port: int,
        replica: str,
        release: str,
        keeps: bool = True,
        patience: float = 4.0,
        say: Callable[[bytes], None] | None = None,
    ) -> None:
        """`say`: whom it tells when the app is to get its signal; None: that is told only when all is answered."""
        self._listener, self._slot, self._say = listener, slot, say
        self._moment = LastMoment(lambda: has_unread(port))
        self._told = (f"X-Replica: {replica}".encode(), f"X-Release: {release}".encode())
        self._app = Connections(port, keeps=keeps)
        self._readiness = Readiness(self._app, patience)
        self._passing = 0

    async def serve(self, is_leaving: asyncio.Event) -> None:
        """Serve until told to leave and nothing is under way or waits to be accepted, however long that takes."""
        async with await asyncio.start_unix_server(self._serve, sock=self._listener, backlog=BACKLOG, limit=CHUNK):
            watch = asyncio.create_task(self._app.watch())
            await is_leaving.wait()
            watch.cancel()
            if self._say is None:
                self._leave_slot()
            else:
                await self._moment.wait(self._leave_slot)
                self._say(NOW)
            drain, since = Drain(longest=inf), time.monotonic()
            while not drain.may_leave(
                after=time.monotonic() - since, connections=self._passing, callers=has_callers(self._listener)
            ):
                await asyncio.sleep(LOOK)
        self._app.close()

    def _leave_slot(self) -> None:
        self._slot.hand_back()
        self._slot.give_up()

    async def _serve(self, caller: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """One connection of the balancer's, which carries one request."""
        self._passing += 1
        try:
            asked = await read_head(caller)
            if asked is None:
                return
            elsewhere = None
            if asked.get(QUESTION) == OF_SLOT:
                elsewhere = self._slot.elsewhere(was_sent_here=bool(asked.get(PASSED_ON)))
            if elsewhere is not None:
                await self._hand_on(asked.with_lines(_PASSED_ON), elsewhere, caller, back)
            elif asked.get(QUESTION):
                await self._say_how_it_is(asked, back)
            else:
                await self._pass(asked, caller, back)
        except (OSError, Broken):
            back.transport.abort()
        finally:
            back.close()
            with suppress(OSError):
                await back.wait_closed()
            self._passing -= 1

    async def _say_how_it_is(self, asked: Head, back: asyncio.StreamWriter) -> None:
        seen = await self._readiness.ask(asked.without({QUESTION, PASSED_ON}))
        said = f"X-Lab-Saw: {seen.text}".encode("latin-1", "replace")
        silent = () if seen.status is not None else (b"X-Lab-Silent: 1",)
        first = f"HTTP/1.1 {seen.status or 503} Asked".encode()
        limit = self._app.idle_limit
        idle = () if limit is None else (f"X-Lab-Idle: {limit:.2f}".encode(),)
        back.write(
            Head(first, (*self._told, said, *silent, *idle, b"Content-Length: 0", b"Connection: close")).encode()
        )
        await back.drain()

    async def _pass(self, asked: Head, caller: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        if self._moment.is_over and not asked.get(PASSED_ON) and self._slot.others():
            await self._pass_on(asked, caller, back)  # the app would not get to it before its signal
            return
        with self._moment.request() as note_sent:
            await self._ask_app(asked, caller, back, note_sent)

    async def _ask_app(
        self, asked: Head, caller: asyncio.StreamReader, back: asyncio.StreamWriter, note_sent: Callable[[], None]
    ) -> None:
        try:
            app = await self._app.take()
        except OSError:
            self._slot.release()  # nobody is sent here until the app is well again and whoever leads says so
            await self._pass_on(asked, caller, back)
            return
        is_kept = False
        try:
            is_kept = await self._exchange(asked, app, caller, back, note_sent)
        finally:
            if is_kept:
                self._app.give_back(app)
            else:
                app.close()

    async def _exchange(
        self,
        asked: Head,
        app: Connection,
        caller: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        note_sent: Callable[[], None],
    ) -> bool:
        """Request and answer; whether the connection may be used again. Raises OSError and Broken."""
        own = () if self._app.keeps else (b"Connection: close",)
        app.writer.write(asked.without({*_HOP_BY_HOP, QUESTION, PASSED_ON}).with_lines(*own).encode())
        length = asked.get(b"content-length")
        count = int(length) if length.isdigit() else 0
        is_sent = False

        def sent() -> None:
            nonlocal is_sent
            is_sent = True
            note_sent()

        request = asyncio.create_task(_send(caller, app.writer, count, sent))
        answer = asyncio.create_task(self._answer(asked.method, app.reader, back))
        try:
            await asyncio.wait({request, answer}, return_when=asyncio.FIRST_COMPLETED)
            failed = request.exception() if request.done() else None
            if not answer.done() and not isinstance(failed, OSError):
                raise failed or Broken("whoever asked is gone")
            # An app that stops reading in the middle may do so to say that this is too much.
            return await answer and is_sent
        finally:
            for task in (request, answer):
                task.cancel()
            await asyncio.gather(request, answer, return_exceptions=True)

    async def _answer(self, asked: bytes, app: asyncio.StreamReader, back: asyncio.StreamWriter) -> bool:
        """Pass the answer on, with two headers more; interim answers (100, 103) as they are."""
        head = await read_head(app)
        while head is not None and 100 <= head.status < 200 and head.status != 101:
            back.write(head.encode())
            head = await read_head(app)
        if head is None:
            raise Broken("the app closed without an answer")
        self._readiness.note_answer()
        back.write(head.without(_HOP_BY_HOP).with_lines(*self._told).encode())
        is_marked = await copy_answer_body(head, app, back, asked=asked)
        await back.drain()
        return is_marked and head.is_kept

    async def _pass_on(self, asked: Head, caller: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """To whoever has another slot, or this one by now. Raises Broken where nobody has, or one was asked before."""
        if asked.get(PASSED_ON):
            raise Broken("the app does not listen, nor does the one before it")
        for path in self._slot.others():
            try:
                await self._hand_on(asked.with_lines(_PASSED_ON), path, caller, back)
            except (ConnectionRefusedError, FileNotFoundError):
                continue
            return
        raise Broken("the app does not listen, and nobody else is there")

    async def _hand_on(self, asked: Head, to: Path, caller: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Let another gate answer it. Raises OSError where there is none; nothing was sent then."""
        reader, writer = await asyncio.open_unix_connection(str(to), limit=CHUNK)
        writer.write(asked.encode())
        there = asyncio.create_task(copy_all(caller, writer))
        try:
            await copy_all(reader, back)
        finally:
            there.cancel()
            await asyncio.gather(there, return_exceptions=True)
            writer.close()


async def _send(
    caller: asyncio.StreamReader, app: asyncio.StreamWriter, count: int, note_sent: Callable[[], None]
) -> None:
    """A request's body; then it is waited for that whoever asked goes away, after which nobody needs an answer."""
    await copy_count(caller, app, count)
    note_sent()
    await caller.read(1)


async def run(
    slot: Slot, *, port: int, replica: str, release: str, keeps: bool, patience: float, says_when: bool
) -> None:
    """Take the slot when told to (SIGUSR1), give it up when told to (SIGTERM), and return when all is answered.

    SIGUSR2 takes it back from its successor for the last moment before that, so that whoever leaves is in use then.
    """
    is_leaving = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, slot.take)
    loop.add_signal_handler(signal.SIGUSR2, slot.take_back)
    loop.add_signal_handler(signal.SIGTERM, is_leaving.set)
    with slot.bind() as listener:
        gate = Gate(
            listener,
            slot,
            port=port,
            replica=replica,
            release=release,
            keeps=keeps,
            patience=patience,
            say=_write if says_when else None,
        )
        await gate.serve(is_leaving)


def _write(said: bytes) -> None:
    os.write(1, said)


if __name__ == "__main__":
    told = os.environ
    place = Slot(Path("/run/slots"), slot=told["LAB_SLOT"], replica=told["LAB_REPLICA"])
    asyncio.run(
        run(
            place,
            port=int(told["LAB_APP_PORT"]),
            replica=told["LAB_REPLICA"],
            release=told["LAB_RELEASE"],
            keeps=told["LAB_KEEP_ALIVE"] == "yes",
            patience=float(told["LAB_ANSWER_TIMEOUT"]),
            says_when=told["LAB_SAYS_WHEN"] == "yes",
        )
    )
