"""The state in one SQLite file: the embedded default, safe between the processes of one machine."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.errors import Fenced, Stale, StateError, WaitTimeout
from lab.retry import wait_until
from lab.state.protocol import Document, Lease

BUSY_SECONDS = 10.0
TABLES_VERSION = 1
_TABLES = f"""
CREATE TABLE IF NOT EXISTS document (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS lease (
  name TEXT PRIMARY KEY, holder TEXT NOT NULL, token INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL
) STRICT;
PRAGMA user_version = {TABLES_VERSION};
"""


class FileState:
    """One file with its write-ahead log beside it. Every change is on disk when the call returns.

    Wall time decides when a lease is over, so a clock that is set back makes one last longer, never shorter.
    """

    def __init__(self, path: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._path, self._clock = path, clock
        self._lock = threading.Lock()
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                self._make_ready()
            except BaseException:
                self._db.close()
                raise

    def _make_ready(self) -> None:
        """The file as a log and tables; again where another process does the same: SQLite does not wait for that."""
        locked: list[sqlite3.OperationalError] = []

        def is_ready() -> bool:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                [version] = self._db.execute("PRAGMA user_version").fetchone()
                if version > TABLES_VERSION:
                    what = f"the lab's state has tables of version {version}; this lab knows version {TABLES_VERSION}"
                    raise StateError(what, at=str(self._path), hint="use the lab that wrote it, or a later one")
                if version < TABLES_VERSION:  # else every command that looks would write
                    self._db.executescript(_TABLES)
            except sqlite3.OperationalError as exc:
                if "locked" not in str(exc):
                    raise
                locked.append(exc)
                return False
            return True

        try:
            wait_until("the state is open", is_ready, within=BUSY_SECONDS, every=0.02)
        except WaitTimeout:
            raise locked[-1] from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing may be asked afterwards."""
        with self._lock:
            self._db.close()

    def read(self, key: str) -> Document | None:
        with self._told(), self._lock:
            row = self._db.execute("SELECT version, body FROM document WHERE key = ?", (key,)).fetchone()
        return None if row is None else Document(version=row[0], body=row[1])

    def write(self, key: str, body: bytes, *, version: int, lease: Lease | None = None) -> int:
        with self._changing():
            if lease is not None:
                self._check_lease(lease)
            row = self._db.execute("SELECT version FROM document WHERE key = ?", (key,)).fetchone()
            stored = 0 if row is None else int(row[0])
            if stored != version:
                raise Stale(f"it is at version {stored}, not {version}", at=key, hint="read it again")
            self._db.execute("INSERT OR REPLACE INTO document VALUES (?, ?, ?)", (key, version + 1, body))
        return version + 1

    def forget(self, name: str) -> None:
        with self._changing():
            self._db.execute(
                "DELETE FROM document WHERE key = ? OR substr(key, 1, ?) = ?", (name, len(name) + 1, f"{name}/")
            )

    def acquire(
        self, name: str, holder: str, seconds: float, *, is_gone: Callable[[str], bool] = lambda _: False
    ) -> Lease | None:
        with self._changing():
            last = self._last_lease(name)
            now = self._now()
            if last is not None and last.until > now and not is_gone(last.holder):
                return None
            lease = Lease(
                name=name,
                holder=holder,
                token=1 if last is None else last.token + 1,
                since=now,
                until=now + int(seconds * NS),
            )
            self._keep(lease)
        return lease

    def renew(self, lease: Lease, seconds: float) -> Lease:
        with self._changing():
            self._check_lease(lease)
            renewed = msgspec.structs.replace(lease, until=self._now() + int(seconds * NS))
            self._keep(renewed)
        return renewed

    def release(self, lease: Lease) -> None:
        with self._changing():
            last = self._last_lease(lease.name)
            if last is not None and last.token == lease.token:
                self._keep(msgspec.structs.replace(last, until=0))

    def lease(self, name: str) -> Lease | None:
        with self._told(), self._lock:
            last = self._last_lease(name)
        return last if last is not None and last.until > self._now() else None

    def _check_lease(self, lease: Lease) -> None:
        last = self._last_lease(lease.name)
        if last is None or last.token != lease.token:
            leads = "nobody" if last is None else f"{last.holder} with token {last.token}"
            raise Fenced(f"token {lease.token} leads no more: {leads} does", at=lease.name, hint="lab lock")
        if last.until <= self._now():
            raise Fenced(f"the lease with token {lease.token} is over", at=lease.name, hint="lab lock")

    def _last_lease(self, name: str) -> Lease | None:
        row = self._db.execute("SELECT holder, token, since, until FROM lease WHERE name = ?", (name,)).fetchone()
        return None if row is None else Lease(name=name, holder=row[0], token=row[1], since=row[2], until=row[3])

    def _keep(self, lease: Lease) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?)",
            (lease.name, lease.holder, lease.token, lease.since, lease.until),
        )

    def _now(self) -> int:
        return int(self._clock.wall().timestamp() * NS)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One transaction that holds the file's write lock from its first line on."""
        with self._told(), self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raise StateError, with the path and a way out, for whatever the file or the disk refuses."""
        try:
            yield
        except sqlite3.DatabaseError as exc:
            what = f"the lab's state can't be used: {exc}"
            raise StateError(what, at=str(self._path), hint=self._hint_for(exc)) from exc
        except OSError as exc:
            what = f"the lab's state can't be written: {exc.strerror or exc}"
            raise StateError(what, at=str(self._path), hint=f"ls -ld {self._path.parent}; df -h .") from exc

    def _hint_for(self, exc: sqlite3.DatabaseError) -> str:
        """What to do next. Only a file that is broken is moved away, with its log, which belongs to it."""
        code = getattr(exc, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF
        if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return f"see who holds it: fuser {self._path}"
        if primary in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
            folder = self._path.parent
            aside = f"mkdir {folder}/broken; mv {self._path}* {folder}/broken/"
            return f"stop every lab, then: {aside}; lab status   # finds clusters again by their labels"
        return f"df -h {self._path.parent}; ls -l {self._path.parent}   # the state itself may be whole: leave it there"
