"""When an app that is to be stopped gets its signal: with a request in it, and nothing unread before it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from shop import listening
from shop.app_connections import Connections
from shop.gate import NOW, Gate
from shop.last_moment import FRESH, IS_LONG, LONGEST, LOOK, STAYS_FOR, WAITS_FOR, LastMoment
from shop.listening import has_unread
from shop.slot import Slot

SAID = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ASKED = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"


class Time:
    """Passes only where somebody sleeps; what is due by then is done."""

    def __init__(self) -> None:
        self.at = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        for one in [one for one in self.due if one[0] <= self.at]:
            self.due.remove(one)
            one[1]()


def waited(clock: Time, moment: LastMoment) -> tuple[float, float]:
    """After how many seconds nobody is taken in any more, and after how many the app is told."""
    stopped: list[float] = []
    asyncio.run(moment.wait(lambda: stopped.append(clock.at)))
    [at] = stopped
    assert moment.is_over
    return at, clock.at


def near(seconds: float) -> object:
    return pytest.approx(seconds, abs=2 * LOOK)


def test_it_comes_once_a_request_has_been_in_the_app_for_a_moment() -> None:
    """From then on nobody is taken in."""
    clock = Time()
    moment = LastMoment(lambda: False, now=clock.now, sleep=clock.sleep)
    with moment.request() as sent:
        clock.due.append((0.1, sent))
        assert waited(clock, moment) == (near(0.1 + STAYS_FOR), near(0.1 + STAYS_FOR))


def test_it_comes_without_a_request_where_none_comes() -> None:
    """When nobody is taken in any more; one that was answered is none."""
    clock = Time()
    moment = LastMoment(lambda: False, now=clock.now, sleep=clock.sleep)
    with moment.request() as sent:
        sent()
    assert waited(clock, moment) == (near(WAITS_FOR), near(WAITS_FOR))


@pytest.mark.parametrize(("until", "told"), [(0.5, 0.5), (WAITS_FOR + 0.2, WAITS_FOR + 0.2), (99, LONGEST)])
def test_it_waits_for_what_is_on_its_way_and_not_without_end(until: float, told: float) -> None:
    """Another request may be in the app meanwhile."""
    clock = Time()
    moment = LastMoment(lambda: False, now=clock.now, sleep=clock.sleep)
    with moment.request() as sent, moment.request() as in_it:
        in_it()
        clock.due.append((until, sent))
        stopped, at = waited(clock, moment)
    assert (stopped, at) == (near(min(told, WAITS_FOR)), near(told))


@pytest.mark.parametrize(("until", "told"), [(0.4, 0.4), (WAITS_FOR + 0.2, WAITS_FOR + 0.2), (99, LONGEST)])
def test_it_waits_for_an_app_to_take_in_what_the_kernel_has_for_it(until: float, told: float) -> None:
    """With a long request in it all the time."""
    clock = Time()
    moment = LastMoment(lambda: clock.at < until, now=clock.now, sleep=clock.sleep)
    with moment.request() as sent:
        sent()
        stopped, at = waited(clock, moment)
    assert (stopped, at) == (near(min(told, WAITS_FOR)), near(told))


@pytest.mark.parametrize(
    ("age", "stays"), [(0.0, False), (STAYS_FOR + FRESH / 2, True), (0.1, False), (IS_LONG + 1, True)]
)
def test_whom_it_waits_for_will_be_in_the_app_still(age: float, *, stays: bool) -> None:
    """Who has just come, or takes so long anyway; not who may be gone by then."""
    clock = Time()
    moment = LastMoment(lambda: False, now=clock.now, sleep=clock.sleep)
    with moment.request() as sent:
        sent()
        clock.at += age
        stopped, _ = waited(clock, moment)
    assert (stopped == age) is stays


def test_from_that_moment_on_others_are_asked(tmp_path: Path) -> None:
    """Whoever is in the app is answered by it, whoever comes then by the successor; and it is said once."""

    async def live() -> None:
        may_answer = asyncio.Event()
        asked: list[bytes] = []

        async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"hi"))
            await may_answer.wait()
            writer.write(SAID)
            writer.close()

        async def successor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert b"X-Lab-Passed-On" in await reader.readuntil(b"hi")
            writer.write(SAID.replace(b"ok", b"it"))
            writer.close()

        server = await asyncio.start_server(app, "127.0.0.1", 0)
        slot, leave, said = Slot(tmp_path, slot="a1", replica="a1-7"), asyncio.Event(), list[bytes]()
        with slot.bind() as listener:
            port = server.sockets[0].getsockname()[1]
            life = asyncio.create_task(
                Gate(listener, slot, port=port, replica="a1-7", release="v2", say=said.append).serve(leave)
            )
            slot.take()
            private = tmp_path / ".a1-7.sock"
            caller, to_gate = await asyncio.open_unix_connection(str(tmp_path / "a1.sock"))
            late = [await asyncio.open_unix_connection(str(private)) for _ in range(2)]
            to_gate.write(ASKED)
            leave.set()
            await until(lambda: bool(said))
            assert len(asked) == 1
            assert not (tmp_path / "a1.sock").exists()
            there = await asyncio.start_unix_server(successor, str(tmp_path / "a1.sock"))
            for reader, writer in late:
                writer.write(ASKED)
                assert (await reader.read()).endswith(b"it")
                writer.close()
            assert len(asked) == 1
            may_answer.set()
            assert (await caller.read()).endswith(b"ok")
            to_gate.close()
            there.close()
            await asyncio.wait_for(life, 5)
        server.close()
        assert said == [NOW]

    asyncio.run(live())


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("line", "is_so"),
    [
        ("0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:0", False),
        ("0: 00000000:1F40 00000000:0000 0A 00000000:00000001 00:0", True),
        ("0: 00000000000000000000000000000000:1F40 00000000000000000000000000000000:0000 0A 00000000:00000001", True),
        ("1: 0100007F:1F40 0100007F:C350 01 00000000:0000000C 00:0", True),
        ("1: 0100007F:C350 0100007F:1F40 01 00000000:0000000C 00:0", False),
        ("1: 0100007F:1F40 0100007F:C350 08 00000000:00000001 00:0", False),
    ],
)
def test_what_an_app_has_not_taken_in_is_read_from_the_kernels_tables(
    line: str, *, is_so: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits to be accepted, and unread bytes at its own port; not the end of a connection (CLOSE_WAIT)."""
    table = tmp_path / "tcp"
    table.write_text(f"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n{line}\n")
    monkeypatch.setattr(listening, "_TABLES", (table, tmp_path / "not there"))
    assert has_unread(8000) is is_so


def test_whoever_waits_to_be_accepted_is_seen() -> None:
    """In the kernel's own tables."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not has_unread(port)
        with socket.create_connection(("127.0.0.1", port)):
            assert has_unread(port)


@pytest.mark.parametrize(
    ("ages", "limit"),
    [
        ([(1.0,), (1.03,), (1.1, 1.12), (1.0,)], 1.03),
        ([(1.0,), (1.0,)], None),
        ([(0.2,), (1.0,), (4.0,), (9.0,)], None),
        ([(0.2, 0.9, 1.4)], None),
    ],
)
def test_an_app_s_own_limit_for_idle_connections_is_told_from_other_ends(
    ages: Sequence[tuple[float, ...]], limit: float | None
) -> None:
    """Where nearly all were closed after the same time; but where those of any age go at once it has ended."""

    async def live() -> None:
        ended = asyncio.Event()

        async def app(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await ended.wait()
            writer.close()

        server, clock = await asyncio.start_server(app, "127.0.0.1", 0), Time()
        connections = Connections(server.sockets[0].getsockname()[1], now=clock.now)
        for together in ages:
            began, kept = clock.at, []
            for age in together:
                clock.at = began + 100 - age
                kept.append(await connections.open())
                connections.give_back(kept[-1])
            connections.look()
            clock.at = began + 100
            ended.set()
            for one in kept:
                await one.reader.read()
            ended.clear()
            connections.look()
        assert connections.idle_limit == (None if limit is None else pytest.approx(limit))
        server.close()

    asyncio.run(live())
