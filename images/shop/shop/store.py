"""The store seen from a replica: scripts that run whole or not at all, and honest words about silence."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio.connection import AbstractConnection, BlockingConnectionPool
from redis.exceptions import BusyLoadingError, NoScriptError, RedisError, ResponseError

from shop import names, patience
from shop.refusals import StoreUnavailable
from shop.whereabouts import Address, Whereabouts

SCRIPTS = Path(__file__).parent / "scripts"
CONNECT_SECONDS = 1
ANSWER_SECONDS = 3
CONNECTIONS = 24
ASK_AGAIN_SECONDS = 0.1
"""Between two tries of what surely was not done."""

Argument = str | int | bytes

log = logging.getLogger("shop")


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """One Lua script as it is sent: `source`, its SHA-1, and whether it only reads."""

    source: str
    sha: str
    reads_only: bool


def load_scripts(folder: Path = SCRIPTS) -> dict[str, Script]:
    """Every script by name; those that declare no writes go as they are, the others after `once.lua`."""
    from hashlib import sha1  # noqa: PLC0415 -- the wire wants SHA-1 as a script's name; nothing relies on its strength

    once = (folder / "once.lua").read_text()
    scripts = {}
    for path in sorted(folder.glob("*.lua")):
        body = path.read_text()
        if path.stem == "once":
            continue
        reads_only = body.startswith("#!lua flags=no-writes\n")
        source = body if reads_only else f"#!lua\n{once}{body}"
        sha = sha1(source.encode(), usedforsecurity=False).hexdigest()
        scripts[path.stem] = Script(source=source, sha=sha, reads_only=reads_only)
    return scripts


class Store:
    """Connections to the store's primary. What may have been done is never sent again by itself: whoever asked decides.

    What surely was not done (no connection, a refusal, a read without an answer) is asked again while the request's
    patience lasts, at the primary of that moment. With `wait_ms` an answer counts only once a replica has all that it
    rests on: what was written is then kept if the primary dies, and nothing is shown that may still be lost.
    """

    def __init__(
        self,
        *,
        whereabouts: Whereabouts,
        username: str,
        password: str | None,
        scripts: Mapping[str, Script],
        wait_ms: int = 0,
    ) -> None:
        self._whereabouts = whereabouts
        self._rights = {"username": username, "password": password}
        self._scripts = scripts
        self._wait_ms = wait_ms
        self._address: Address | None = None
        self._pool: BlockingConnectionPool | None = None
        self._is_watching = False

    async def prepare(self) -> None:
        """Make sure that the store answers and knows every script; may be repeated."""
        if not self._is_watching:
            self._is_watching = True
            self._whereabouts.watch(self._move)
        for script in self._scripts.values():
            await self.ask("SCRIPT", "LOAD", script.source)

    async def close(self) -> None:
        """Let go of every connection."""
        await self._whereabouts.close()
        if self._pool is not None:
            await self._pool.disconnect()

    async def ask(self, *command: Argument) -> object:
        """The reply to one command that changes nothing that anybody would miss."""
        return await self._exchange(command, changes=False)

    async def run(self, name: str, *, keys: Sequence[str], arguments: Sequence[Argument] = ()) -> list[bytes]:
        """The reply of script `name`: it took effect as a whole, or StoreUnavailable says what is known."""
        script = self._scripts[name]
        operands = (len(keys), *keys, *arguments)
        changes = not script.reads_only
        try:
            reply = await self._exchange(("EVALSHA", script.sha, *operands), changes=changes)
        except NoScriptError:  # The store was started anew, or is another one; EVAL teaches it the script again.
            reply = await self._exchange(("EVAL", script.source, *operands), changes=changes)
        if not isinstance(reply, list):
            raise TypeError(f"script {name} answered {type(reply).__name__}, not a list")
        return reply

    async def _exchange(self, command: Sequence[Argument], *, changes: bool) -> object:
        """One command, again and again while it surely was not done and there is time."""
        until = patience.deadline()
        while True:
            try:
                return await self._exchange_once(command, until, changes=changes)
            except StoreUnavailable as exc:
                if not exc.not_applied or time.monotonic() + ASK_AGAIN_SECONDS >= until:
                    raise
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def _exchange_once(self, command: Sequence[Argument], until: float, *, changes: bool) -> object:
        try:
            async with asyncio.timeout(patience.left(until, CONNECT_SECONDS)):
                pool, connection = await self._connection()
        except (RedisError, OSError, TimeoutError) as exc:
            self._address = None  # Whoever is asked next is found anew.
            raise StoreUnavailable(f"no connection: {_said(exc)}", not_applied=True) from exc
        try:
            return await self._talk(connection, command, until, changes=changes)
        except BaseException as exc:
            if not isinstance(exc, NoScriptError | StoreUnavailable):
                # Cancelled between question and answer: the next user of this connection must not read ours.
                await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)

    async def _connection(self) -> tuple[BlockingConnectionPool, AbstractConnection]:
        if self._address is None or self._pool is None:
            await self._move(await self._whereabouts.find())
        pool = self._pool
        assert pool is not None  # noqa: S101 -- a move makes one
        return pool, await pool.get_connection()

    async def _move(self, address: Address) -> None:
        """From now on this is where the primary is; whoever waits for another one's answer is told that none comes."""
        if address == self._address:
            return
        if self._pool is not None and self._pool.connection_kwargs["host"] == address[0]:
            self._address = address
            return
        if self._pool is not None:
            log.warning("store: the primary is %s now", address[0])
        old, self._pool, self._address = self._pool, self._new_pool(address), address
        if old is not None:
            await old.disconnect(inuse_connections=True)

    def _new_pool(self, address: Address) -> BlockingConnectionPool:
        host, port = address
        rights: dict[str, Any] = dict(self._rights)
        # The kind that checks a connection outside its lock: a slow connect must not hold up everybody else.
        return BlockingConnectionPool(
            host=host,
            port=port,
            max_connections=CONNECTIONS,
            timeout=CONNECT_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            # Naming the library costs two round trips a connection, and rights that the shop does not need.
            lib_name=None,
            lib_version=None,
            **rights,
        )

    async def _talk(
        self, connection: AbstractConnection, command: Sequence[Argument], until: float, *, changes: bool
    ) -> object:
        asked = [command]
        if self._wait_ms:
            # What is published after it goes to the replicas after all that the command has done or seen; so whoever
            # has that has all of it, though WAIT itself looks only at what this connection has sent on.
            asked += [("PUBLISH", names.STEP, ""), ("WAIT", 1, self._wait_ms)]
        try:
            async with asyncio.timeout(patience.left(until, ANSWER_SECONDS)):
                await connection.send_packed_command(connection.pack_commands(asked), check_health=False)
                replies = await _replies(connection, len(asked))
        except (RedisError, OSError, TimeoutError) as exc:
            await connection.disconnect(nowait=True)
            raise StoreUnavailable(f"no answer: {_said(exc)}", not_applied=not changes) from exc
        reply, *step = replies
        if isinstance(reply, NoScriptError):
            raise reply
        if isinstance(reply, ResponseError | BusyLoadingError):
            # An error from inside a script names it; any other came before the script's first line: it is not the
            # primary (READONLY), has no replica (NOREPLICAS), is not in step (MASTERDOWN) or reads its file (LOADING).
            if " script: " in str(reply):
                raise reply
            await self._doubt(connection)
            raise StoreUnavailable(f"refused: {_said(reply)}", not_applied=True) from reply
        if step and not (isinstance(step[-1], int) and step[-1] >= 1):
            await self._doubt(connection)
            raise StoreUnavailable(f"no replica has it: {step[-1]}", not_applied=not changes)
        return reply

    async def _doubt(self, connection: AbstractConnection) -> None:
        """This may be no primary any more: ask who is, and don't come back on this connection."""
        self._address = None
        await connection.disconnect(nowait=True)


async def _replies(connection: AbstractConnection, count: int) -> list[object]:
    """What the store says next, refusals as values; no more follow where it still reads its file."""
    replies: list[object] = []
    while len(replies) < count:
        try:
            replies.append(await connection.read_response())
        except ResponseError as exc:
            replies.append(exc)
        except BusyLoadingError as exc:
            return [exc]
    return replies


def _said(exc: object) -> str:
    return str(exc) or type(exc).__name__
