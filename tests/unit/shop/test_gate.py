"""The gate that stands before somebody's own app: what it passes on, what it drops, and when it leaves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from shop.gate import Gate
from shop.listening import listening_ports
from shop.slot import Slot

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ASKED = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
SAID = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def gate_before(
    answer: Answer, folder: Path, *, patience: float = 4.0
) -> AsyncIterator[tuple[Slot, asyncio.Event, asyncio.Task[None]]]:
    """An app that answers so, its gate, the event that tells the gate to leave, and its life."""
    app = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = app.sockets[0].getsockname()[1]
    slot = Slot(folder, slot="a1", replica="a1-7")
    leave = asyncio.Event()
    with slot.bind() as listener:
        gate = Gate(listener, slot, port=port, replica="a1-7", release="v2", patience=patience)
        life = asyncio.create_task(gate.serve(leave))
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
            gate = Gate(listener, slot, port=1, replica="a1-7", release="v2")
            life = asyncio.create_task(gate.serve(leave))
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


QUESTION = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Lab-Question: 1\r\n\r\n"


async def serve_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *answers: bytes) -> None:
    """An app that keeps its connection, gives these answers on it in turn, and then closes it."""
    for answer in answers:
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
    writer.close()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=1\r\nok\r\n0\r\nT: 1\r\n\r\n"
OPEN_END = b"HTTP/1.1 200 OK\r\n\r\nok"
NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.mark.parametrize("answer", [SAID, CHUNKED, NOTHING])
def test_a_connection_is_kept_where_the_answer_s_end_is_marked(tmp_path: Path, answer: bytes) -> None:
    """Two requests come on one connection, each whole; the app reads nothing of the balancer's `close`."""
    connections: list[bytes] = []

    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(b"")
        for _ in range(2):
            connections[-1] += await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        writer.close()

    async def live() -> None:
        async with gate_before(app, tmp_path):
            for _ in range(2):
                assert (await ask(tmp_path)).endswith(answer.partition(b"\r\n")[2])
        assert len(connections) == 1
        assert b"onnection" not in connections[0]

    asyncio.run(live())


def test_an_answer_without_an_end_ends_with_its_connection(tmp_path: Path) -> None:
    """And that one is not used again."""

    async def live() -> None:
        async with gate_before(lambda r, w: serve_on(r, w, OPEN_END), tmp_path):
            assert (await ask(tmp_path)).endswith(b"\r\n\r\nok")
            assert (await ask(tmp_path)).endswith(b"\r\n\r\nok")

    asyncio.run(live())


def test_an_answer_that_is_cut_short_is_cut_short_for_whoever_asked(tmp_path: Path) -> None:
    """Nobody is to take half of it for all."""

    async def live() -> None:
        half = SAID.removesuffix(b"k")
        async with gate_before(lambda r, w: serve_on(r, w, half), tmp_path):
            with suppress(ConnectionResetError):
                assert (await ask(tmp_path)).endswith(b"\r\n\r\no")

    asyncio.run(live())


def test_an_idle_connection_that_the_app_closes_under_a_request_shows(tmp_path: Path) -> None:
    """The request is lost, as behind any proxy: the gate does not ask again by itself (nodejs/node#27363)."""
    times = 0

    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal times
        times += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SAID)
        await reader.readuntil(b"\r\n\r\n")  # the next one is on its way when the app closes
        writer.close()

    async def live() -> None:
        async with gate_before(app, tmp_path):
            assert (await ask(tmp_path)).endswith(b"ok")
            with suppress(ConnectionResetError):
                assert await ask(tmp_path) == b""
            assert times == 1

    asyncio.run(live())


def test_what_the_app_does_not_take_goes_to_another_slot(tmp_path: Path) -> None:
    """Nothing was sent of it, so a POST may go elsewhere too; and the slot is nobody's until it is taken anew."""
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        writer.write(SAID)
        await writer.drain()
        writer.close()

    async def live() -> None:
        there = await asyncio.start_unix_server(other, str(tmp_path / "b1.sock"))
        slot, leave = Slot(tmp_path, slot="a1", replica="a1-7"), asyncio.Event()
        with slot.bind() as listener:
            life = asyncio.create_task(Gate(listener, slot, port=1, replica="a1-7", release="v2").serve(leave))
            slot.take()
            assert (await ask(tmp_path, post)).endswith(b"ok")
            assert not slot.is_taken()
            leave.set()
            there.close()
            await asyncio.wait_for(life, 5)

    asyncio.run(live())


def test_nobody_passes_on_what_was_passed_on(tmp_path: Path) -> None:
    """Two gates whose apps are gone do not send each other the same request for ever."""

    async def live() -> None:
        gates = []
        leave = asyncio.Event()
        for name in ("a1", "b1"):
            slot = Slot(tmp_path, slot=name, replica=f"{name}-7")
            gate = Gate(slot.bind(), slot, port=1, replica=f"{name}-7", release="v2")
            gates.append(asyncio.create_task(gate.serve(leave)))
            slot.take()
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(ask(tmp_path), 5) == b""
        leave.set()
        await asyncio.gather(*gates)

    asyncio.run(live())


def test_the_lab_s_question_is_answered_with_what_was_seen(tmp_path: Path) -> None:
    """The app's own status, and where and what was asked; the app never sees that it was the lab."""
    asked: list[bytes] = []

    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(SAID.replace(b"200 OK", b"503 No"))
        writer.close()

    async def live() -> None:
        async with gate_before(app, tmp_path):
            said = await ask(tmp_path, QUESTION)
            assert said.startswith(b"HTTP/1.1 503 ")
            assert b"X-Lab-Saw: GET /healthz on " in said
            assert b": 503\r\n" in said
            assert b"X-Lab-Silent" not in said
        assert b"lab" not in asked[0].lower()

    asyncio.run(live())


def test_an_app_that_does_not_listen_is_silent_to_the_question(tmp_path: Path) -> None:
    """With the reason, and with where somebody listens instead."""

    async def live() -> None:
        slot, leave = Slot(tmp_path, slot="a1", replica="a1-7"), asyncio.Event()
        with slot.bind() as listener, socket.create_server(("127.0.0.1", 0)) as other:
            assert other.getsockname()[1] in listening_ports()
            life = asyncio.create_task(Gate(listener, slot, port=1, replica="a1-7", release="v2").serve(leave))
            slot.take()
            said = await ask(tmp_path, QUESTION)
            assert b"X-Lab-Saw: GET /healthz on 1: connection refused; it listens on " in said
            assert b"\r\nX-Lab-Silent: 1" in said
            leave.set()
            await asyncio.wait_for(life, 5)

    asyncio.run(live())


@pytest.mark.slow
def test_a_slow_app_is_not_a_silent_one(tmp_path: Path) -> None:
    """While its answer is waited for its last word counts, as long as it answers anybody."""
    is_slow = asyncio.Event()

    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if is_slow.is_set() and b"/healthz" in head:
            await reader.read()
        else:
            writer.write(SAID)
        writer.close()

    async def live() -> None:
        async with gate_before(app, tmp_path, patience=1.0):
            assert (await ask(tmp_path, QUESTION)).startswith(b"HTTP/1.1 200 ")
            is_slow.set()
            await ask(tmp_path)
            said = await ask(tmp_path, QUESTION)
            assert said.startswith(b"HTTP/1.1 200 ")
            assert b": slow; before, it said 200\r\n" in said
            assert b"X-Lab-Silent" in await ask(tmp_path, QUESTION), "it had the time that it may take"

    asyncio.run(live())


def test_whoever_leaves_is_in_use_for_a_last_moment(tmp_path: Path) -> None:
    """It takes the slot back and hands it to its successor again, in one step each; a third one that came keeps it."""
    old, new = (Slot(tmp_path, slot="a1", replica=f"a1-{number}") for number in (1, 2))
    with old.bind(), new.bind():
        old.take()
        new.take()
        old.take_back()
        assert old.is_taken()
        old.hand_back()
        assert new.is_taken()
        old.take_back()
        third = Slot(tmp_path, slot="a1", replica="a1-3")
        with third.bind():
            third.take()
            old.hand_back()
            assert third.is_taken()
        new.take()
        old.take_back()
        new.give_up()
        old.hand_back()
        assert old.is_taken(), "its successor is gone"
        old.give_up()
    assert not (tmp_path / "a1.sock").exists()


def test_the_slot_is_its_successor_s_while_it_is_taken_back(tmp_path: Path) -> None:
    """Whoever looks who has the slot finds the successor; users find the one that is to leave."""

    async def live() -> None:
        apps = [await asyncio.start_server(lambda r, w: serve_on(r, w, SAID), "127.0.0.1", 0) for _ in range(2)]
        leave, lives, slots = asyncio.Event(), [], []
        for number, app in enumerate(apps, 1):
            slot, port = Slot(tmp_path, slot="a1", replica=f"a1-{number}"), app.sockets[0].getsockname()[1]
            gate = Gate(slot.bind(), slot, port=port, replica=f"a1-{number}", release="v1")
            lives.append(asyncio.create_task(gate.serve(leave)))
            slot.take()
            slots.append(slot)
        slots[0].take_back()
        assert b"X-Replica: a1-1\r\n" in await ask(tmp_path)
        assert b"X-Replica: a1-2\r\n" in await ask(tmp_path, QUESTION.replace(b": 1", b": slot"))
        assert b"X-Replica: a1-1\r\n" in await ask(tmp_path, QUESTION.replace(b": 1", b": replica"))
        # The successor may have accepted the question a moment before the slot was taken back from it.
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / ".a1-2.sock"))
        writer.write(QUESTION.replace(b": 1", b": slot"))
        assert b"X-Replica: a1-2\r\n" in await reader.read()
        writer.close()
        private = str(tmp_path / ".a1-1.sock")
        reader, writer = await asyncio.open_unix_connection(private)  # as one that was accepted a moment before
        slots[0].hand_back()
        writer.write(QUESTION.replace(b": 1", b": slot"))
        assert b"X-Replica: a1-2\r\n" in await reader.read()
        writer.close()
        assert b"X-Replica: a1-2\r\n" in await ask(tmp_path)
        leave.set()
        for app in apps:
            app.close()
        await asyncio.gather(*lives)

    asyncio.run(live())
