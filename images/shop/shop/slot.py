"""A replica's place at the balancer: a socket's name in a shared folder, taken by renaming and given up by removing."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_SECONDS = 1.0
BACKLOG = 1024


class Slot:
    """One slot's public name, for a listener that is bound under the replica's own private name.

    The private name stays, so that a replica can be asked how it is before it has the slot and after it lost it.
    Taking and giving up are each done under the slot's lock, so that a leaving replica never removes the name of
    the one that has just replaced it.
    """

    def __init__(self, folder: Path, *, slot: str, replica: str) -> None:
        self._public = folder / f"{slot}.sock"
        self._private = folder / f".{replica}.sock"
        self._lock = folder / f".{slot}.lock"
        self._inode: int | None = None

    def bind(self) -> socket.socket:
        """A listener that nobody is sent to yet."""
        self._private.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._private))
        # Connecting takes the right to write: for the balancer, which has the folder's group if not its owner.
        self._private.chmod(0o660)
        self._inode = self._private.stat().st_ino
        listener.listen(BACKLOG)
        return listener

    def take(self) -> None:
        """From here on, every new connection for the slot comes to this replica, in one step; may be repeated."""
        taking = self._private.with_suffix(".taking")
        with self._locked():
            taking.unlink(missing_ok=True)
            os.link(self._private, taking)
            taking.rename(self._public)
            # Renaming a name over another one of the same file does nothing and leaves both.
            taking.unlink(missing_ok=True)

    def is_taken(self) -> bool:
        """Whether this replica has the slot now; another one may have taken it without asking."""
        try:
            return self._public.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def give_up(self) -> None:
        """Let no new connection come, unless another replica has the slot already; may be repeated."""
        with self._locked():
            if self.is_taken():
                self._public.unlink(missing_ok=True)
        self._private.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the slot's lock, or go on without it after a second: a frozen neighbour must not stop us."""
        lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            give_up_at = time.monotonic() + LOCK_SECONDS
            while time.monotonic() < give_up_at:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.005)
            yield
        finally:
            os.close(lock)


def bind_port(port: int) -> socket.socket:
    """A TCP listener on every address of the container."""
    listener = socket.socket(socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", port))  # noqa: S104 -- a container's own network; what is published is the lab's choice
    listener.listen(BACKLOG)
    return listener


def has_callers(listener: socket.socket) -> bool:
    """Whether somebody is connected who has not been accepted yet."""
    readable, _, _ = select.select([listener], [], [], 0)
    return bool(readable)
