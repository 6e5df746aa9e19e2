"""When a replica that was told to go may leave, and how its slot changes hands."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from shop.life import LEAST_DRAIN_SECONDS, Drain
from shop.slot import Slot, has_callers

AFTER_LEAST = LEAST_DRAIN_SECONDS + 0.01


def test_it_stays_for_the_least_time() -> None:
    """A replica with nobody to answer still waits for whoever the balancer is connecting just now."""
    drain = Drain(longest=8)
    looks = [drain.may_leave(after=n / 100, connections=0, callers=False) for n in range(30)]
    assert not any(looks)


def test_it_leaves_after_two_idle_looks() -> None:
    """A connection that is being accepted is counted nowhere, so one idle look is not enough."""
    drain = Drain(longest=8)
    assert not drain.may_leave(after=AFTER_LEAST, connections=0, callers=False)
    assert drain.may_leave(after=AFTER_LEAST, connections=0, callers=False)


@pytest.mark.parametrize(("connections", "callers"), [(1, False), (0, True), (3, True)])
def test_it_stays_while_anybody_is_there(connections: int, callers: bool) -> None:
    """An open connection or a waiting caller keeps it, and makes it look twice again afterwards."""
    drain = Drain(longest=8)
    drain.may_leave(after=AFTER_LEAST, connections=0, callers=False)
    assert not drain.may_leave(after=AFTER_LEAST, connections=connections, callers=callers)
    assert not drain.may_leave(after=AFTER_LEAST, connections=0, callers=False)
    assert drain.may_leave(after=AFTER_LEAST, connections=0, callers=False)


def test_it_leaves_at_the_longest() -> None:
    """However many are connected, it is gone when its time is over."""
    assert Drain(longest=8).may_leave(after=8.0, connections=5, callers=True)


def ring(path: Path) -> socket.socket:
    """A connection to the socket at `path`; raises OSError where nobody listens."""
    caller = socket.socket(socket.AF_UNIX)
    try:
        caller.connect(str(path))
    except OSError:
        caller.close()
        raise
    return caller


def test_a_slot_is_nobodys_until_taken(tmp_path: Path) -> None:
    """Binding announces nothing; taking the slot does, in one step."""
    slot = Slot(tmp_path, slot="a1", replica="a1-7")
    with slot.bind() as listener:
        assert not (tmp_path / "a1.sock").exists()
        slot.take()
        assert not has_callers(listener)
        with ring(tmp_path / "a1.sock"):
            assert has_callers(listener)


def test_a_successor_gets_every_new_connection(tmp_path: Path) -> None:
    """From the take-over on the old replica is called no more, and its leaving does not hurt the new one."""
    old, new = (Slot(tmp_path, slot="a1", replica=name) for name in ("a1-1", "a1-2"))
    with old.bind() as old_listener, new.bind() as new_listener:
        old.take()
        new.take()
        old.give_up()
        with ring(tmp_path / "a1.sock"):
            assert has_callers(new_listener)
            assert not has_callers(old_listener)


def test_leaving_without_a_successor_empties_the_slot(tmp_path: Path) -> None:
    """The balancer then finds no socket at all, so that nothing was sent and any other slot may answer."""
    slot = Slot(tmp_path, slot="a1", replica="a1-1")
    with slot.bind():
        slot.take()
        slot.give_up()
        slot.give_up()
        with pytest.raises(FileNotFoundError):
            ring(tmp_path / "a1.sock")


def test_a_replica_that_never_took_its_slot_leaves_nothing(tmp_path: Path) -> None:
    """One that was stopped before it was ready neither takes the slot from another nor leaves its own name."""
    serving, failing = (Slot(tmp_path, slot="a1", replica=name) for name in ("a1-1", "a1-2"))
    with serving.bind() as listener, failing.bind():
        serving.take()
        failing.give_up()
        with ring(tmp_path / "a1.sock"):
            assert has_callers(listener)
    assert sorted(path.name for path in tmp_path.glob("*.sock")) == [".a1-1.sock", "a1.sock"]


def test_a_slot_may_be_taken_back_and_forth(tmp_path: Path) -> None:
    """A replica that lost its slot can be asked under its own name, and takes the slot back when it is told to."""
    old, new = (Slot(tmp_path, slot="a1", replica=name) for name in ("a1-1", "a1-2"))
    with old.bind() as old_listener, new.bind() as new_listener:
        for taker, listener in ((old, old_listener), (new, new_listener), (old, old_listener), (old, old_listener)):
            taker.take()
            with ring(tmp_path / "a1.sock"):
                assert has_callers(listener)
                listener.accept()[0].close()
        with ring(tmp_path / ".a1-2.sock"):
            assert has_callers(new_listener)
    assert sorted(path.name for path in tmp_path.glob("*.sock")) == [".a1-1.sock", ".a1-2.sock", "a1.sock"]
    assert list(tmp_path.glob("*.taking")) == []


def test_a_dead_replicas_name_is_taken_over(tmp_path: Path) -> None:
    """A killed replica leaves a name that nobody listens on; the next one takes it all the same."""
    dead = Slot(tmp_path, slot="a1", replica="a1-1")
    with dead.bind():
        dead.take()
    with pytest.raises(ConnectionRefusedError):
        ring(tmp_path / "a1.sock")
    heir = Slot(tmp_path, slot="a1", replica="a1-2")
    with heir.bind() as listener:
        heir.take()
        with ring(tmp_path / "a1.sock"):
            assert has_callers(listener)


def test_a_replica_knows_whether_it_has_its_slot(tmp_path: Path) -> None:
    """Not before it took it, not after another one did without a word, and again once it took it back."""
    old, new = (Slot(tmp_path, slot="a1", replica=name) for name in ("a1-1", "a1-2"))
    with old.bind(), new.bind():
        assert (old.is_taken(), new.is_taken()) == (False, False)
        old.take()
        assert (old.is_taken(), new.is_taken()) == (True, False)
        new.take()
        assert (old.is_taken(), new.is_taken()) == (False, True)
        old.take()
        assert (old.is_taken(), new.is_taken()) == (True, False)
        old.give_up()
        assert (old.is_taken(), new.is_taken()) == (False, False)
