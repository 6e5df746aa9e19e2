"""What became of a request is told exactly, and nothing is ever sent twice."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from lab.clock import NS, SYSTEM_CLOCK
from lab.model import TryResult
from lab.users.head import HeaderNames
from lab.users.turns import Turns
from lab.users.wire import Connection, Door, Exchange, HttpAnswer, quickest_loop

if TYPE_CHECKING:
    from tests.unit.users.conftest import Bad, FakeShop

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"

Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=[quickest_loop, asyncio.new_event_loop], ids=["quickest", "asyncio"])
def loop_factory(request: pytest.FixtureRequest) -> Loop:
    factory: Loop = request.param
    return factory


def run(work: Coroutine[Any, Any, None], loop_factory: Loop) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(work)


@asynccontextmanager
async def connected(*targets: Door) -> AsyncIterator[Connection]:
    """A connection that is closed even where a test fails: uvloop never ends with an open one."""
    connection = Connection(*targets, clock=SYSTEM_CLOCK)
    try:
        yield connection
    finally:
        await connection.close()


async def ask(connection: Connection, timeout: float = 2.0) -> Exchange:
    return await connection.exchange(GET, timeout=timeout)


def is_open(connection: Connection) -> bool:
    """Whether the next request would go over the connection that the last one used."""
    stream = connection._stream
    return stream is not None and not stream.ended


async def until_closed(connection: Connection) -> None:
    async with asyncio.timeout(2):
        while is_open(connection):
            await asyncio.sleep(0)


def test_without_uvloop_it_is_asyncios_own_loop(monkeypatch: pytest.MonkeyPatch, shop: FakeShop) -> None:
    """uvloop is an extra: what it does faster works without it."""
    monkeypatch.setitem(sys.modules, "uvloop", None)

    async def work() -> None:
        assert type(asyncio.get_running_loop()).__module__.startswith("asyncio.")
        async with connected(shop.target) as connection:
            exchange = await ask(connection)
            assert isinstance(exchange.came, HttpAnswer)

    run(work(), quickest_loop)


def test_with_uvloop_it_is_that_one() -> None:
    """Here it is installed, so that everything else is tested with it."""
    loop = quickest_loop()
    loop.close()
    assert type(loop).__module__.startswith("uvloop")


def test_two_requests_share_a_connection(shop: FakeShop, loop_factory: Loop) -> None:
    """A connection is kept alive, and each request's interval holds its sending and its answer."""

    async def work() -> None:
        async with connected(shop.target) as connection:
            before = SYSTEM_CLOCK.now()
            first, second = await ask(connection), await ask(connection)
            assert isinstance(first.came, HttpAnswer)
            assert first.came.status == 200
            assert first.came.header(b"x-replica") == "a1-7"
            assert b'"sku"' in first.came.body
            assert before <= first.begin < first.end <= second.begin < second.end <= SYSTEM_CLOCK.now()

    run(work(), loop_factory)
    assert [seen.connection for seen in shop.seen] == [0, 0]


def test_who_answered_is_said_by_the_headers_that_a_door_names(shop: FakeShop, loop_factory: Loop) -> None:
    """The same bytes, read before by somebody who goes by other headers."""

    async def work() -> None:
        usual, other = shop.target, replace(shop.target, names=HeaderNames(replica=b"x-none", release=b"x-replica"))
        async with connected(usual) as first, connected(other) as second:
            for connection, told in ((first, ("a1-7", "v1")), (second, (None, "a1-7")), (first, ("a1-7", "v1"))):
                came = (await ask(connection)).came
                assert isinstance(came, HttpAnswer)
                assert (came.head.replica, came.head.release) == told

    run(work(), loop_factory)


def test_all_connections_together_keep_to_their_turns(shop: FakeShop, loop_factory: Loop) -> None:
    """Two that share them: no request begins sooner than the rate allows."""

    async def work() -> None:
        turns = Turns(20)
        one, other = (Connection(shop.target, clock=SYSTEM_CLOCK, turns=turns) for _ in range(2))
        began = [done.begin for _ in range(4) for done in await asyncio.gather(ask(one), ask(other))]
        await one.close()
        await other.close()
        assert (max(began) - min(began)) / NS >= 7 / 20 - 0.01

    run(work(), loop_factory)


def test_a_closed_port_is_unsent(closed_port: int, loop_factory: Loop) -> None:
    """Where nobody listens nothing was sent, and it is told at once."""

    async def work() -> None:
        done = await ask(Connection(Door(port=closed_port), clock=SYSTEM_CLOCK))
        assert done.came is TryResult.UNSENT
        assert done.end >= done.begin > 0

    run(work(), loop_factory)


def test_an_address_that_is_closed_is_passed_over(shop: FakeShop, closed_port: int, loop_factory: Loop) -> None:
    """Within the same request, of which nothing was sent yet; afterwards the one that answers is kept."""

    async def work() -> None:
        async with connected(Door(port=closed_port), shop.target) as connection:
            for _ in range(2):
                assert isinstance((await ask(connection)).came, HttpAnswer)
                assert connection.target == shop.target

    run(work(), loop_factory)
    assert [seen.connection for seen in shop.seen] == [0, 0]


def test_after_a_request_was_cut_the_next_goes_elsewhere(shop: FakeShop, closed_port: int, loop_factory: Loop) -> None:
    """What was sent is not sent again; the next request tries the next address first."""
    shop.misbehave("cut")

    async def work() -> None:
        elsewhere = Door(port=closed_port)
        async with connected(shop.target, elsewhere) as connection:
            assert (await ask(connection)).came is TryResult.CUT
            assert connection.target == elsewhere
            assert isinstance((await ask(connection)).came, HttpAnswer)

    run(work(), loop_factory)
    assert len(shop.seen) == 2


def test_a_name_that_nobody_has_is_unsent() -> None:
    """A host that can't be found is unsent, not an error."""

    async def work() -> None:
        target = Door(host="no-such-host.invalid", port=1)
        assert (await ask(Connection(target, clock=SYSTEM_CLOCK))).came is TryResult.UNSENT

    asyncio.run(work())


@pytest.mark.parametrize("how", ["cut", "lost", "cut body", "endless", "huge"])
def test_without_a_whole_answer_it_is_cut(
    shop: FakeShop, loop_factory: Loop, how: Bad, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that ends early, or whose end can't be told, is cut; the request was sent exactly once."""
    monkeypatch.setattr("lab.users.wire.MOST_BYTES", 1 << 20)
    shop.misbehave(how)

    async def work() -> None:
        async with connected(shop.target) as connection:
            assert (await ask(connection)).came is TryResult.CUT
            assert len(shop.seen) == 1
            assert isinstance((await ask(connection)).came, HttpAnswer)

    run(work(), loop_factory)
    assert [seen.connection for seen in shop.seen] == [0, 1]


def test_a_cut_on_a_reused_connection_is_not_sent_again(shop: FakeShop, loop_factory: Loop) -> None:
    """Where a kept-alive connection dies under a request, the request was sent once and is cut."""

    async def work() -> None:
        async with connected(shop.target) as connection:
            await ask(connection)
            shop.misbehave("cut")
            assert (await ask(connection)).came is TryResult.CUT

    run(work(), loop_factory)
    assert len(shop.seen) == 2


def test_no_answer_in_time_is_a_timeout(shop: FakeShop, loop_factory: Loop) -> None:
    """A request without an answer is given up in time, and its connection with it."""
    shop.misbehave("hang")

    async def work() -> None:
        async with connected(shop.target) as connection:
            done = await ask(connection, timeout=0.1)
            assert done.came is TryResult.TIMEOUT
            assert 0.09e9 < done.end - done.begin < 1e9
            assert isinstance((await ask(connection)).came, HttpAnswer)

    run(work(), loop_factory)
    assert [seen.connection for seen in shop.seen] == [0, 1]


@pytest.mark.parametrize("how", ["says close", "closes silently"])
def test_a_connection_that_ended_is_replaced_before_anything_is_sent(
    shop: FakeShop, loop_factory: Loop, how: Bad
) -> None:
    """After `Connection: close`, or an end that was seen, the next request goes over a new connection."""
    shop.misbehave(how)

    async def work() -> None:
        async with connected(shop.target) as connection:
            assert isinstance((await ask(connection)).came, HttpAnswer)
            await until_closed(connection)
            assert isinstance((await ask(connection)).came, HttpAnswer)

    run(work(), loop_factory)
    assert [seen.connection for seen in shop.seen] == [0, 1]


def test_connection_close_is_honoured_at_once(shop: FakeShop) -> None:
    """`Connection: close` ends the connection with the answer, without waiting for the server's end."""
    shop.misbehave("says close")

    async def work() -> None:
        async with connected(shop.target) as connection:
            await ask(connection)
            assert not is_open(connection)

    asyncio.run(work())


def test_an_answer_nobody_asked_for_ends_the_connection(shop: FakeShop, loop_factory: Loop) -> None:
    """A second answer to one request is never taken for the next request's."""
    shop.misbehave("twice")

    async def work() -> None:
        async with connected(shop.target) as connection:
            assert isinstance((await ask(connection)).came, HttpAnswer)
            await until_closed(connection)

    run(work(), loop_factory)


def test_a_late_second_answer_is_not_the_next_ones(shop: FakeShop, loop_factory: Loop) -> None:
    """What arrives on an idle connection ends it, so that it can't answer the next request."""
    shop.misbehave("unasked")

    async def work() -> None:
        async with connected(shop.target) as connection:
            assert isinstance((await ask(connection)).came, HttpAnswer)
            assert is_open(connection)
            shop.let_go()
            await until_closed(connection)
            assert isinstance((await ask(connection)).came, HttpAnswer)

    run(work(), loop_factory)
    assert [seen.connection for seen in shop.seen] == [0, 1]


def test_an_interim_answer_is_passed_over(shop: FakeShop) -> None:
    """A 103 before the answer is not the answer."""
    shop.misbehave("interim")

    async def work() -> None:
        async with connected(shop.target) as connection:
            done = await ask(connection)
            assert isinstance(done.came, HttpAnswer)
            assert done.came.status == 200
            assert b"link" not in done.came.headers

    asyncio.run(work())


def test_cancelling_drops_the_connection(shop: FakeShop, loop_factory: Loop) -> None:
    """A request that is cancelled leaves no connection on which its answer could come later."""
    shop.misbehave("slow")

    async def work() -> None:
        async with connected(shop.target) as connection:
            asking = asyncio.create_task(ask(connection))
            await asyncio.to_thread(shop.slow_ones.acquire, timeout=2)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert not is_open(connection)
            shop.let_go()

    run(work(), loop_factory)


def test_the_labs_own_doors_are_secure_wherever_their_engine_is() -> None:
    """A `Secure` session is kept there as on loopback; at somebody else's plain door it is refused, as by a browser."""
    elsewhere = Door(host="192.0.2.7", port=80)
    assert elsewhere.is_secure
    assert not replace(elsewhere, is_own=False).is_secure
    assert replace(elsewhere, is_own=False, tls=ssl.create_default_context()).is_secure
