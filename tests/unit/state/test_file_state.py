"""What the state in a file promises beyond the contract: between processes, over kills, and in words."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.clock import FakeClock
from lab.errors import Fenced, StateError
from lab.machine.labels import is_owner_gone
from lab.retry import wait_until
from lab.state.file import FileState

RACER = """
import sys
from pathlib import Path
from lab.state.file import FileState
state = FileState(Path(sys.argv[1]))
for name in range(40):
    lease = state.acquire(f"race {name}", sys.argv[2], 60.0)
    print(name, lease.token if lease else 0, flush=True)
"""
HOLDER = """
import sys, time
from pathlib import Path
from lab.machine.labels import this_process
from lab.state.file import FileState
state = FileState(Path(sys.argv[1]))
print(state.acquire("c", this_process(), 3600.0).holder, flush=True)
time.sleep(3600)
"""


def test_of_racing_processes_exactly_one_gets_each_lease(tmp_path: Path) -> None:
    """Three processes ask for forty leases at once: every lease is given once."""
    path = tmp_path / "state.db"
    FileState(path).close()
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(path), f"racer {n}"], stdout=subprocess.PIPE, text=True)
        for n in range(3)
    ]
    given: dict[str, list[int]] = {}
    for racer in racers:
        out, _ = racer.communicate(timeout=60)
        assert racer.returncode == 0
        for line in out.splitlines():
            name, token = line.split()
            given.setdefault(name, []).append(int(token))
    assert len(given) == 40
    assert all(sorted(tokens) == [0, 0, 1] for tokens in given.values())


def test_a_killed_holder_is_followed_at_once(tmp_path: Path) -> None:
    """SIGKILL leaves its lease in the file; whoever sees that the process is gone takes it without waiting."""
    path = tmp_path / "state.db"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    named = holder.stdout.readline().strip()
    with FileState(path) as state:
        assert state.acquire("c", "next", 60.0, is_gone=is_owner_gone) is None
        os.kill(holder.pid, signal.SIGKILL)
        wait_until("it is gone", lambda: is_owner_gone(named), within=5, every=0.02)  # a zombie is gone too
        lease = state.acquire("c", "next", 60.0, is_gone=is_owner_gone)
        assert lease is not None
        assert lease.token == 2
    holder.communicate()


def test_threads_lose_no_change(tmp_path: Path) -> None:
    """Read, change, write, and again where somebody was quicker: nothing is lost."""
    with FileState(tmp_path / "state.db") as state:
        state.write("n", b"0", version=0)

        def count(_: int) -> int:
            for refused in range(1000):
                found = state.read("n")
                assert found is not None
                try:
                    state.write("n", str(int(found.body) + 1).encode(), version=found.version)
                except StateError:
                    continue
                return refused
            raise AssertionError("never came through")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(count, range(100)))
        found = state.read("n")
        assert found is not None
        assert found.body == b"100"


def test_a_clock_that_goes_back_never_ends_a_lease_early(tmp_path: Path) -> None:
    """It lasts longer then; and a clock that leaps ahead ends it, which fences its holder."""
    clock = FakeClock(10**18)
    with FileState(tmp_path / "state.db", clock=clock) as state:
        lease = state.acquire("c", "me", 10.0)
        assert lease is not None
        clock.sleep(-3600)
        assert state.acquire("c", "you", 10.0) is None
        clock.sleep(2 * 3600)
        with pytest.raises(Fenced):
            state.renew(lease, 10.0)


def test_a_file_that_is_no_state_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    """With its path and a way out; its content is nobody's to throw away."""
    path = tmp_path / "state.db"
    path.write_bytes(b"this is somebody's diary, not a database" * 50)
    before = path.read_bytes()
    with pytest.raises(StateError, match="not a database") as told:
        FileState(path)
    assert (told.value.at, path.read_bytes()) == (str(path), before)
    assert "mv " in told.value.hint


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    """A file stands where the folder should be: no traceback, the path, a way out."""
    (tmp_path / "own").write_text("in the way")
    with pytest.raises(StateError) as told:
        FileState(tmp_path / "own" / "state.db")
    assert told.value.at.endswith("state.db")
    assert told.value.hint


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """The file is made closed."""
    path = tmp_path / "state.db"
    with FileState(path) as state:
        state.write("k", b"v", version=0)
        assert path.stat().st_mode & 0o077 == 0


@contextmanager
def beginning(path: Path) -> Iterator[None]:
    """Somebody else who is making the same file ready."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE theirs (one)")
    other.execute("BEGIN IMMEDIATE")
    ending = threading.Timer(0.2, lambda: other.execute("COMMIT"))
    ending.start()
    yield
    ending.join()
    other.close()


def test_who_opens_it_first_at_the_same_time_waits(tmp_path: Path) -> None:
    """SQLite itself refuses to change the kind of log at once while anybody writes, whatever patience it was told."""
    path = tmp_path / "state.db"
    with beginning(path), FileState(path) as state:
        assert state.write("c", b"x", version=0) == 1


def test_a_file_that_stays_locked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With how to see who has it."""
    path = tmp_path / "state.db"
    monkeypatch.setattr("lab.state.file.BUSY_SECONDS", 0.05)
    with beginning(path), pytest.raises(StateError, match=r"locked[\s\S]*fuser"):
        FileState(path)


def test_a_broken_file_is_moved_away_with_its_log(tmp_path: Path) -> None:
    """By the words of the hint, which must work as they stand; a new one takes its place."""
    path = tmp_path / "state.db"
    path.write_bytes(b"no database " * 100)
    with pytest.raises(StateError) as told:
        FileState(path)
    (tmp_path / "state.db-wal").write_bytes(b"old log")
    command = told.value.hint.partition("then: ")[2].partition("; lab status")[0]
    subprocess.run(command, shell=True, check=True)  # noqa: S602 -- as a person would
    FileState(path).close()
    assert (tmp_path / "broken" / "state.db").exists()
    assert (tmp_path / "broken" / "state.db-wal").read_bytes() == b"old log"


def test_a_full_disk_gives_no_advice_to_move_what_is_whole(tmp_path: Path) -> None:
    """The file is as it was: moving it away would lose what is written there."""
    with FileState(tmp_path / "state.db") as state:
        pages = state._db.execute("PRAGMA page_count").fetchone()[0]
        state._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StateError, match="full") as told:
            state.write("x/desired", b"x" * 1_000_000, version=0)
    assert "df -h" in told.value.hint
    assert "mv " not in told.value.hint


def test_a_file_of_a_later_lab_is_left_alone(tmp_path: Path) -> None:
    """It says so, and nothing is advised that would lose a cluster."""
    path = tmp_path / "state.db"
    FileState(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateError, match="version 99") as told:
        FileState(path)
    assert "later" in told.value.hint
    assert "mv " not in told.value.hint
