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
        self._successor: Path | None = None

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
        with self._locked():
            self._give_to(self._private)

    def take_back(self) -> None:
        """Take the slot once more, from whoever has it now and gets it again from `hand_back`."""
        with self._locked():
            self._successor = self._holder()
            self._give_to(self._private)

    def elsewhere(self, *, was_sent_here: bool) -> Path | None:
        """Where whoever has the slot in truth is found: where it was taken back from, or by the slot's name.

        Somebody who `was_sent_here` by whoever has lost the slot is not sent back there.
        """
        if self.is_taken():
            return self._successor
        return self._public if self._public.exists() and not was_sent_here else None

    def hand_back(self) -> None:
        """Give the slot, in one step, to whom it was taken back from; to nobody where that one is gone."""
        with self._locked():
            if self.is_taken() and self._successor is not None and self._successor.exists():
                self._give_to(self._successor)
            self._successor = None

    def _holder(self) -> Path | None:
        """The private name of another replica that has the slot."""
        try:
            inode = self._public.stat().st_ino
        except FileNotFoundError:
            return None
        if inode == self._inode:
            return self._successor
        private = self._public.parent.glob(".*.sock")
        return next((path for path in private if path.stat().st_ino == inode), None)

    def _give_to(self, private: Path) -> None:
        taking = self._private.with_suffix(".taking")
        taking.unlink(missing_ok=True)
        os.link(private, taking)
        taking.rename(self._public)
        # Renaming a name over another one of the same file does nothing and leaves both.
        taking.unlink(missing_ok=True)

    def is_taken(self) -> bool:
        """Whether this replica has the slot now; another one may have taken it without asking."""
        try:
            return self._public.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Let no new connection come by the slot's name, unless another replica has it already; may be repeated."""
        with self._locked():
            if self.is_taken():
                self._public.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Let no new connection come at all; may be repeated."""
        self.release()
        self._private.unlink(missing_ok=True)

    def others(self) -> list[Path]:
        """The public names that other replicas have: first this slot's, then those after it in turn."""
        names = sorted(path for path in self._public.parent.glob("*.sock") if not path.name.startswith("."))
        after = [path for path in names if path > self._public]
        turn = [self._public, *after, *(path for path in names if path < self._public)]
        return [path for path in turn if path.exists() and path.stat().st_ino != self._inode]

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
