"""Runs one replica: takes its slot when it is ready, and leaves without cutting anybody off."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from shop import patience
from shop.app import build
from shop.edge import Edge
from shop.leaving import Callers, leave
from shop.life import Life
from shop.orders import Ledger, OutboxOrders
from shop.parts import why_not_ready
from shop.refusals import StoreUnavailable
from shop.settings import Settings, settings_from
from shop.slot import Slot, bind_port
from shop.store import Store, load_scripts
from shop.whereabouts import Fixed, Sentinels, Whereabouts, sentinels_from

STORE_AGAIN_SECONDS = 0.1
SLOT_LOOK_SECONDS = 0.05
LEAVES_LATE_SECONDS = 1.5
STARTS_LATE_SECONDS = 3.0
KEEP_ALIVE_SECONDS = 75
"""Longer than the balancer keeps its connections, so that it is never the replica that closes one first."""

log = logging.getLogger("shop")


def run(*, started: float) -> None:
    """Serve until told to stop; `started` is when the process began, in monotonic seconds."""
    settings = settings_from(os.environ)
    logging.basicConfig(level=logging.INFO, format=f"{settings.replica} {settings.deployed_as} %(message)s")
    runner = asyncio.Runner(loop_factory=_new_loop)
    with runner:
        runner.run(serve(settings, started=started))


def _new_loop() -> asyncio.AbstractEventLoop:
    import uvloop  # noqa: PLC0415 -- only the process that serves needs it

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


async def serve(settings: Settings, *, started: float) -> None:
    """Bind, become ready, answer, drain."""
    life = Life()
    store = _store_of(settings)
    ledger = _ledger_of(settings)
    slot = Slot(settings.slots_folder, slot=settings.slot, replica=settings.replica) if settings.slot else None
    listener = slot.bind() if slot else bind_port(settings.port)
    listener.setblocking(False)

    told_to_go = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_go.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: _enter(life, slot))

    # uvicorn's own run() would answer a signal by closing connections that the balancer is about to use; so its
    # three parts are run here, with the drain between them.
    orders = OutboxOrders(store, ledger) if ledger is not None else None
    server = _server(build(settings, store, life, orders=orders, now=time.time))
    await server.startup(sockets=[listener])
    ticking = asyncio.create_task(server.main_loop())
    callers = Callers(lambda: len(server.server_state.connections), listener)
    becoming_ready = asyncio.create_task(_become_ready(settings, store, life, slot, started=started))
    standing_by = asyncio.create_task(_mind_the_slot(life, slot))
    await told_to_go.wait()

    if settings.sabotage == "no_drain":
        os._exit(0)  # one of the mistakes of `shop.spoilt`: whoever is being answered is cut off
    if settings.sabotage == "late_leaver":
        await asyncio.sleep(LEAVES_LATE_SECONDS)
    becoming_ready.cancel()
    standing_by.cancel()
    await leave(life, slot, callers, longest=settings.drain_seconds)
    server.should_exit = True
    await ticking
    await server.shutdown(sockets=[listener])
    await store.close()
    if ledger is not None:
        await ledger.close()


async def _become_ready(settings: Settings, store: Store, life: Life, slot: Slot | None, *, started: float) -> None:
    """Take the slot once the store answers and knows the scripts; try for as long as it takes."""
    if settings.sabotage == "slow_start":
        await asyncio.sleep(STARTS_LATE_SECONDS)
    while True:
        patience.begin()
        try:
            await store.prepare()
        except StoreUnavailable as exc:
            why = f"store: {exc.why}"
        else:
            why = why_not_ready(settings)
        if not why:
            break
        if why != life.why:
            log.warning("not ready: %s", why)
        life.why = why
        await asyncio.sleep(STORE_AGAIN_SECONDS)
    life.ready, life.why = True, ""
    if slot and not settings.enters_when_told:
        slot.take()
    log.info("ready after %.3f s", time.monotonic() - started)


async def _mind_the_slot(life: Life, slot: Slot | None) -> None:
    """Know when another replica has taken the slot, or this one has it again: nobody else says so."""
    while slot is not None:
        life.aside = not slot.is_taken()
        await asyncio.sleep(SLOT_LOOK_SECONDS)


def _enter(life: Life, slot: Slot | None) -> None:
    """Take the slot because the deployer says so; one that is not ready, or is leaving, stays out."""
    if slot and life.ready:
        slot.take()
        life.aside = False
        log.info("entered")


def _server(app: Edge) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=1024,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    return server


def _store_of(settings: Settings) -> Store:
    url = urlsplit(settings.store_url)
    password, username = _password(settings.store_password_file), url.username or "default"
    whereabouts: Whereabouts = Fixed(url.hostname or "store", url.port or 6379)
    if settings.store_sentinels:
        whereabouts = Sentinels(sentinels_from(settings.store_sentinels), username=username, password=password)
    return Store(
        whereabouts=whereabouts,
        username=username,
        password=password,
        scripts=load_scripts(),
        wait_ms=settings.store_wait_ms,
    )


def _ledger_of(settings: Settings) -> Ledger | None:
    """The orders' database, if they have one."""
    if not settings.orders_url:
        return None
    from shop.postgres import PostgresLedger  # noqa: PLC0415 -- a replica that has no use for it starts without it

    return PostgresLedger(settings.orders_url, password=_password(settings.orders_password_file), name=settings.replica)


def _password(file: Path | None) -> str | None:
    return None if file is None else file.read_text().strip()
