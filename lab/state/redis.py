"""The state in a Redis: where several machines deploy the same clusters. Not the Redis that users' sessions are in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from lab.errors import Fenced, SetupError, Stale, StateError, UsageError
from lab.state.protocol import Document, Lease

ANSWER_WITHIN = 5.0
OPTIONS = frozenset(
    {
        *("db", "username", "password", "client_name", "health_check_interval", "socket_keepalive"),
        *("ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"),
    }
)
"""What may stand after the ? of its address."""
_GLOB = re.compile(r"[*?\[\]\\]")
"""What has a meaning of its own in a pattern of keys."""

# The server's clock alone decides, in microseconds. A lease is a hash {holder, token, since, until}; it is never
# removed, so that its token goes on counting. {} keeps a name's keys together in a cluster of Redis.
_NOW = "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2] "
_LEASE = "local l = redis.call('HMGET', KEYS[1], 'holder', 'token', 'since', 'until') "
_CHECK = (
    "if l[2] ~= ARGV[1] then return {'taken', l[1] or 'nobody', l[2] or '0'} end "
    "if tonumber(l[4]) <= now then return {'over', l[1], l[2]} end "
)
_WRITE = f"""
{_NOW}
if ARGV[1] ~= '' then
  {_LEASE} {_CHECK}
end
local stored = redis.call('HGET', KEYS[2], 'version') or '0'
if stored ~= ARGV[2] then return {{'stale', stored}} end
local version = redis.call('HINCRBY', KEYS[2], 'version', 1)
redis.call('HSET', KEYS[2], 'body', ARGV[3])
return {{'ok', version}}
"""
_ACQUIRE = f"""
{_NOW} {_LEASE}
if l[4] and tonumber(l[4]) > now and l[1] ~= ARGV[3] then return {{'held', l[1]}} end
local token = redis.call('HINCRBY', KEYS[1], 'token', 1)
local til = now + tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'since', string.format('%.0f', now), 'until', string.format('%.0f', til))
return {{'ok', token, string.format('%.0f', now), string.format('%.0f', til)}}
"""
_RENEW = f"""
{_NOW} {_LEASE} {_CHECK}
local til = now + tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', til))
return {{'ok', string.format('%.0f', til)}}
"""
_RELEASE = "if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then redis.call('HSET', KEYS[1], 'until', '0') end"
_READ = f"{_NOW} {_LEASE} if l[4] and tonumber(l[4]) > now then return l end return {{}}"


def _without_secrets(url: str) -> str:
    """The host and path of an address: all of it that may be printed."""
    bare = url.partition("#")[0].partition("?")[0]
    return bare.rpartition("@")[2].rpartition("://")[2]


class RedisState:
    """Every call is one script on the server, so that nobody comes between its look and its change.

    What is acknowledged is as durable as that Redis is: with `appendonly yes` and `appendfsync always` it is on disk.
    Raises SetupError where the `redis` package is missing, UsageError where the address is none. What is told of the
    address never has the password in it.
    """

    def __init__(self, url: str, *, prefix: str = "lab") -> None:
        self._at, self._prefix = _without_secrets(url), prefix
        try:
            import redis  # noqa: PLC0415 -- an optional package, wanted by this backend alone
        except ImportError as exc:
            raise SetupError(
                "the redis package is not installed", at=self._at, hint="pip install 'cluster-lab[redis]'"
            ) from exc
        self._fault: type[Exception] = redis.RedisError
        self._check_options(url)
        try:
            self._client: Any = redis.Redis.from_url(
                url, socket_timeout=ANSWER_WITHIN, socket_connect_timeout=ANSWER_WITHIN
            )
            self._client.connection_pool.make_connection()  # tries the options, and connects to nobody
        except (ValueError, TypeError, self._fault):  # their words may quote a part of the password
            raise UsageError(
                "is no address of a Redis", at=f"LAB_STATE {self._at}", hint="LAB_STATE=redis://HOST:6379/0"
            ) from None

    def _check_options(self, url: str) -> None:
        """Raise UsageError for an option that no Redis client of the lab's knows."""
        query = url.partition("#")[0].partition("?")[2]
        unknown = sorted({name for name, _ in parse_qsl(query, keep_blank_values=True)} - OPTIONS)
        if unknown:
            known = ", ".join(sorted(OPTIONS))
            raise UsageError(
                f"has an unknown option {unknown[0]!r}", at=f"LAB_STATE {self._at}", hint=f"one of: {known}"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; nothing may be asked afterwards."""
        self._client.close()

    def read(self, key: str) -> Document | None:
        with self._told():
            version, body = self._client.hmget(self._document(key), "version", "body")
        return None if version is None else Document(version=int(version), body=body)

    def write(self, key: str, body: bytes, *, version: int, lease: Lease | None = None) -> int:
        token = "" if lease is None else str(lease.token)
        name = "" if lease is None else lease.name
        said = self._do(_WRITE, [self._lease(name), self._document(key)], [token, str(version), body])
        if said[0] == b"stale":
            raise Stale(f"it is at version {int(said[1])}, not {version}", at=key, hint="read it again")
        if lease is not None:
            self._check(said, lease)
        return int(said[1])

    def forget(self, name: str) -> None:
        with self._told():
            below = _GLOB.sub(r"\\\g<0>", self._document(name))
            keys = [self._document(name), *self._client.scan_iter(f"{below}/*", count=500)]
            self._client.delete(*keys)

    def acquire(
        self, name: str, holder: str, seconds: float, *, is_gone: Callable[[str], bool] = lambda _: False
    ) -> Lease | None:
        micros, gone = str(int(seconds * 1_000_000)), ""
        for _ in range(2):
            # Only the very holder that was found gone is passed over, even if somebody took its place meanwhile.
            said = self._do(_ACQUIRE, [self._lease(name)], [holder, micros, gone])
            if said[0] == b"ok":
                return Lease(
                    name=name, holder=holder, token=int(said[1]), since=int(said[2]) * 1000, until=int(said[3]) * 1000
                )
            gone = said[1].decode()
            if not is_gone(gone):
                return None
        return None

    def renew(self, lease: Lease, seconds: float) -> Lease:
        said = self._do(_RENEW, [self._lease(lease.name)], [str(lease.token), str(int(seconds * 1_000_000))])
        self._check(said, lease)
        until = int(said[1]) * 1000
        return Lease(name=lease.name, holder=lease.holder, token=lease.token, since=lease.since, until=until)

    def release(self, lease: Lease) -> None:
        self._do(_RELEASE, [self._lease(lease.name)], [str(lease.token)])

    def lease(self, name: str) -> Lease | None:
        said = self._do(_READ, [self._lease(name)], [])
        if not said:
            return None
        holder, token, since, until = said
        return Lease(
            name=name, holder=holder.decode(), token=int(token), since=int(since) * 1000, until=int(until) * 1000
        )

    def _check(self, said: list[Any], lease: Lease) -> None:
        if said[0] == b"taken":
            leads = f"{said[1].decode()} with token {int(said[2])}"
            raise Fenced(f"token {lease.token} leads no more: {leads} does", at=lease.name, hint="lab lock")
        if said[0] == b"over":
            raise Fenced(f"the lease with token {lease.token} is over", at=lease.name, hint="lab lock")

    def _do(self, script: str, keys: list[str], arguments: list[str | bytes]) -> Any:
        with self._told():
            return self._client.eval(script, len(keys), *keys, *arguments)

    def _lease(self, name: str) -> str:
        return f"{{{self._prefix}}}:lease:{name}"

    def _document(self, key: str) -> str:
        return f"{{{self._prefix}}}:document:{key}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._fault as exc:
            raise StateError(
                f"the lab's state can't be used: {exc}", at=self._at, hint=f"redis-cli -u redis://{self._at} ping"
            ) from exc
