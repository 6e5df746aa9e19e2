"""Stands before an app that knows nothing of slots: owns its socket, passes requests on, and leaves before it does.

It shares the app's network and its processes: when the app dies, however it dies, the kernel ends the gate in the
same moment, and the balancer finds nobody to connect to, as with a replica that takes its slot by itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from contextlib import suppress
from math import inf
from pathlib import Path

from shop.life import Drain
from shop.slot import BACKLOG, Slot, has_callers

LOOK = 0.02
CHUNK = 1 << 16


class Gate:
    """Passes connections that each carry one request from `listener` to the app, and says who answered.

    A connection that the app does not take is dropped without a byte, so that the balancer may ask somebody else.
    """

    def __init__(self, listener: socket.socket, *, port: int, replica: str, release: str) -> None:
        self._listener, self._port = listener, port
        self._told = f"X-Replica: {replica}\r\nX-Release: {release}\r\n".encode()
        self._passing = 0

    async def serve(self, is_leaving: asyncio.Event) -> None:
        """Serve until told to leave and nothing is under way or waits to be accepted, however long that takes."""
        async with await asyncio.start_unix_server(self._pass, sock=self._listener, backlog=BACKLOG, limit=CHUNK):
            await is_leaving.wait()
            drain, since = Drain(longest=inf), time.monotonic()
            while not drain.may_leave(
                after=time.monotonic() - since, connections=self._passing, callers=has_callers(self._listener)
            ):
                await asyncio.sleep(LOOK)

    async def _pass(self, caller: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._passing += 1
        writers = [back]
        try:
            app, to_app = await asyncio.open_connection("127.0.0.1", self._port, limit=CHUNK)
            writers.append(to_app)
            request = asyncio.create_task(_copy(caller, to_app))
            answer = asyncio.create_task(self._answer(app, back))
            await asyncio.wait({request, answer}, return_when=asyncio.FIRST_COMPLETED)
            if request.done() and request.exception() is not None:
                await asyncio.wait({answer})  # the app stopped listening, as it may to say that this is too much
            await _end(request, answer)
            if answer.cancelled() or answer.exception() is not None:
                back.transport.abort()
        except OSError:
            back.transport.abort()
        finally:
            for writer in writers:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
            self._passing -= 1

    async def _answer(self, app: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Pass the answer on, with two headers more; interim answers (100, 103) as they are."""
        line = await app.readline()
        while line[9:10] == b"1" and line[9:12] != b"101":
            while line.strip():
                back.write(line)
                line = await app.readline()
            back.write(line)
            line = await app.readline()
        if not line:
            raise ConnectionResetError("the app closed without an answer")
        back.write(line + self._told)
        await _copy(app, back)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while part := await source.read(CHUNK):
        sink.write(part)
        await sink.drain()


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def run(slot: Slot, *, port: int, replica: str, release: str) -> None:
    """Take the slot when told to (SIGUSR1), give it up when told to (SIGTERM), and return when all is answered."""
    is_leaving = asyncio.Event()

    def leave() -> None:
        slot.give_up()
        is_leaving.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, slot.take)
    loop.add_signal_handler(signal.SIGTERM, leave)
    with slot.bind() as listener:
        await Gate(listener, port=port, replica=replica, release=release).serve(is_leaving)


if __name__ == "__main__":
    told = os.environ
    place = Slot(Path("/run/slots"), slot=told["LAB_SLOT"], replica=told["LAB_REPLICA"])
    port = int(told["LAB_APP_PORT"])
    asyncio.run(run(place, port=port, replica=told["LAB_REPLICA"], release=told["LAB_RELEASE"]))
