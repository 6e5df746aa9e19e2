"""The gate that stands before somebody's own app: what it passes on, what it drops, and when it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from shop.gate import Gate
from shop.slot import Slot

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ASKED = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
SAID = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def gate_before(answer: Answer, folder: Path) -> AsyncIterator[tuple[Slot, asyncio.Event, asyncio.Task[None]]]:
    """An app that answers so, its gate, the event that tells the gate to leave, and its life."""
    app = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = app.sockets[0].getsockname()[1]
    slot = Slot(folder, slot="a1", replica="a1-7")
    leave = asyncio.Event()
    with slot.bind() as listener:
        life = asyncio.create_task(Gate(listener, port=port, replica="a1-7", release="v2").serve(leave))
        slot.take()
        try:
            yield slot, leave, life
        finally:
            leave.set()
            app.close()
            await asyncio.wait_for(life, 5)


async def ask(folder: Path, request: bytes = ASKED) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(folder / "a1.sock"))
    writer.write(request)
    try:
        return await reader.read()
    finally:
        writer.close()


async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *parts: bytes) -> None:
    await reader.readuntil(b"\r\n\r\n")
    for part in parts:
        writer.write(part)
    await writer.drain()
    writer.close()


def test_an_answer_says_who_gave_it(tmp_path: Path) -> None:
    """Two headers more, right after the status; all else as the app said it."""

    async def live() -> None:
        async with gate_before(lambda r, w: say(r, w, SAID), tmp_path):
            status, rest = SAID.split(b"\r\n", 1)
            assert await ask(tmp_path) == status + b"\r\nX-Replica: a1-7\r\nX-Release: v2\r\n" + rest

    asyncio.run(live())


def test_an_interim_answer_is_passed_on_first(tmp_path: Path) -> None:
    """A 103 keeps its own headers; the final answer gets ours."""
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    async def live() -> None:
        async with gate_before(lambda r, w: say(r, w, early, SAID), tmp_path):
            came = await ask(tmp_path)
            assert came.startswith(early + b"HTTP/1.1 200 OK\r\nX-Replica: a1-7\r\n")

    asyncio.run(live())


def test_an_app_that_says_nothing_is_no_answer(tmp_path: Path) -> None:
    """The connection ends without a byte, so that the balancer may ask somebody else."""

    async def live() -> None:
        async with gate_before(say, tmp_path):
            with suppress(ConnectionResetError):
                assert await ask(tmp_path) == b""

    asyncio.run(live())


def test_an_app_that_does_not_listen_is_no_answer(tmp_path: Path) -> None:
    """As long as it starts, and when it is gone."""

    async def live() -> None:
        slot, leave = Slot(tmp_path, slot="a1", replica="a1-7"), asyncio.Event()
        with slot.bind() as listener:
            life = asyncio.create_task(Gate(listener, port=1, replica="a1-7", release="v2").serve(leave))
            slot.take()
            with suppress(ConnectionResetError):
                assert await ask(tmp_path) == b""
            leave.set()
            await asyncio.wait_for(life, 5)

    asyncio.run(live())


def test_it_leaves_only_when_all_is_answered(tmp_path: Path) -> None:
    """Told to leave in the middle of a request, it gives its slot up and finishes the request first."""
    may_answer, was_asked = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        was_asked.set()
        await may_answer.wait()
        await say(reader, writer, SAID)

    async def live() -> None:
        async with gate_before(slow, tmp_path) as (slot, leave, life):
            asked = asyncio.create_task(ask(tmp_path))
            await was_asked.wait()
            slot.give_up()
            leave.set()
            assert not (tmp_path / "a1.sock").exists()
            done, _ = await asyncio.wait({life}, timeout=0.6)  # twice as long as an idle gate would stay
            assert not done
            may_answer.set()
            assert (await asked).endswith(b"ok")

    asyncio.run(live())
