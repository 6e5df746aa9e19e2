"""The store seen from a replica: scripts that run whole or not at all, and honest words about silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio.connection import BlockingConnectionPool, parse_url
from redis.exceptions import BusyLoadingError, NoScriptError, RedisError, ResponseError

from shop.refusals import StoreUnavailable

SCRIPTS = Path(__file__).parent / "scripts"
CONNECT_SECONDS = 1
ANSWER_SECONDS = 3  # less than the balancer waits for a replica, so that it is told rather than left to guess
CONNECTIONS = 24

Argument = str | int | bytes


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
    """A pool of connections to the store. Nothing is ever sent twice by itself: whoever asked decides."""

    def __init__(self, *, url: str, password: str | None, scripts: Mapping[str, Script]) -> None:
        self._scripts = scripts
        address: dict[str, Any] = dict(parse_url(url))
        if password is not None:
            address["password"] = password
        # The kind that checks a connection outside its lock: a slow connect must not hold up everybody else.
        self._pool = BlockingConnectionPool(
            max_connections=CONNECTIONS,
            timeout=CONNECT_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            # Naming the library costs two round trips a connection, and rights that the shop does not need.
            lib_name=None,
            lib_version=None,
            **address,
        )

    async def prepare(self) -> None:
        """Make sure that the store answers and knows every script; may be repeated."""
        for script in self._scripts.values():
            await self.ask("SCRIPT", "LOAD", script.source)

    async def close(self) -> None:
        """Let go of every connection."""
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
        except NoScriptError:  # The store was started anew; EVAL teaches it the script again.
            reply = await self._exchange(("EVAL", script.source, *operands), changes=changes)
        if not isinstance(reply, list):
            raise TypeError(f"script {name} answered {type(reply).__name__}, not a list")
        return reply

    async def _exchange(self, command: Sequence[Argument], *, changes: bool) -> object:
        try:
            connection = await self._pool.get_connection()
        except (RedisError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(f"no connection: {_said(exc)}", not_applied=True) from exc
        try:
            await connection.send_command(*command, check_health=False)
            return await connection.read_response()
        except NoScriptError:
            raise
        except (ResponseError, BusyLoadingError) as exc:
            # An error from inside a script names it; any other came before the script's first line.
            if " script: " in str(exc):
                raise
            raise StoreUnavailable(f"refused: {_said(exc)}", not_applied=True) from exc
        except (RedisError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(f"no answer: {_said(exc)}", not_applied=not changes) from exc
        except BaseException:
            # Cancelled between question and answer: the next user of this connection must not read ours.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._pool.release(connection)


def _said(exc: BaseException) -> str:
    return str(exc) or type(exc).__name__
