"""What only one lab of this machine does at a time: locks in the file system, which die with their holder."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Say = Callable[[str], None]

HOST_LOCK = Path(tempfile.gettempdir()) / f"cluster-lab-{os.getuid()}.lock"
"""Held while something of the machine, not of a checkout, is changed."""
CLUSTER_LOCK = HOST_LOCK.with_name(f"cluster-lab-tests-{os.getuid()}.lock")
"""Held while a test's cluster is up."""
LAYERS_LOCK = HOST_LOCK.with_name(f"cluster-lab-layers-{os.getuid()}.lock")
"""Shared by those who build layers, held by who removes some."""


@contextmanager
def host_lock(say: Say) -> Iterator[None]:
    """Only one lab of this machine at a time changes the machine."""
    with _locked(HOST_LOCK, "waiting: another lab is setting this machine up", say):
        yield


@contextmanager
def cluster_lock(say: Say) -> Iterator[None]:
    """One test's cluster of this user at a time, over all processes: two at once would starve each other."""
    with _locked(CLUSTER_LOCK, "waiting: another test's cluster is up; --lab-parallel 1 would not wait", say):
        yield


@contextmanager
def layers_lock(*, removes: bool) -> Iterator[None]:
    """Nobody removes layers while somebody builds one: an engine whose builder finds an image below gone gives up.

    Seen with Docker 20.10 ("failed to get digest ... no such file or directory").
    """
    with LAYERS_LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if removes else fcntl.LOCK_SH)
        yield


@contextmanager
def _locked(path: Path, waiting: str, say: Say) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
