"""By its labels, and by all of them, the lab knows its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime

import msgspec
import psutil
import pytest

from lab.machine import labels
from lab.machine.labels import (
    Identity,
    identity_of,
    is_owner_gone,
    may_be_missed,
    replica_of,
    surely_runs,
    this_process,
)
from lab.model import ReplicaState

MINE = Identity(project="lab-x", run="r1", owner="host:1:2.00", expires=4102444800)


def test_an_identity_survives_being_written_as_labels() -> None:
    """What is put on a container is read back the same."""
    assert identity_of(MINE.labels("app")) == MINE


@pytest.mark.parametrize("missing", labels.IDENTIFYING)
def test_a_container_with_any_label_missing_is_a_strangers(missing: str) -> None:
    """Four of the five identifying labels are not enough."""
    carried = MINE.labels("app")
    del carried[missing]
    assert identity_of(carried) is None


def test_an_expiry_that_is_no_number_is_a_strangers() -> None:
    """Labels that only look like the lab's are not taken for its own."""
    assert identity_of({**MINE.labels("app"), labels.EXPIRES: "soon"}) is None


@pytest.mark.parametrize("text", ["\u00b2", "\u0661", "-1", "1.5", " 1", "9" * 5000])
def test_what_python_alone_takes_for_a_number_is_a_strangers(text: str) -> None:
    """A label may hold anything; and a replica's generation is then the oldest there is."""
    assert identity_of({**MINE.labels("app"), labels.EXPIRES: text}) is None
    found = replica_of("c" * 64, {**MINE.labels("app"), labels.GENERATION: text}, "running")
    assert found is not None
    assert found.generation == 0


@pytest.mark.parametrize("place", [1, 2], ids=["another boot", "another namespace"])
def test_of_an_owner_whose_numbers_mean_something_else_nothing_is_known(place: int) -> None:
    """Of two containers with one host's name, the other's living owner used to count as gone."""
    where = this_process().partition(":")[0].split("/")
    where[place] = "1"
    owner = "/".join(where) + ":999999999:1.00"
    assert not is_owner_gone(owner)
    assert may_be_missed(msgspec.structs.replace(MINE, owner=owner), datetime.now(UTC))
    assert is_owner_gone(this_process().partition(":")[0] + ":999999999:1.00")


def test_an_owner_of_before_is_still_known() -> None:
    """HOST:PID:STARTED, as labels and leases have it that were written by an earlier lab."""
    where, pid, started = this_process().split(":")
    host = where.partition("/")[0]
    assert surely_runs(f"{host}:{pid}:{started}")
    assert is_owner_gone(f"{host}:{pid}:1.00")
    assert is_owner_gone(f"{host}:999999999:1.00")
    assert not is_owner_gone(f"{host}:{'9' * 40}:1.00")


def test_a_lab_of_before_takes_an_owner_for_another_machines() -> None:
    """It sweeps what is surely gone: with one more part behind the number it swept a living run's cluster."""
    host, _, rest = this_process().partition(":")
    assert host != socket.gethostname()
    assert rest == f"{os.getpid()}:{rest.partition(':')[2]}"


def test_only_app_replicas_are_replicas() -> None:
    """The balancer, the store and a stranger are never offered as somebody to act on."""
    assert replica_of("c" * 64, MINE.labels("balancer"), "running") is None
    assert replica_of("c" * 64, {"lab.role": "app"}, "running") is None
    found = replica_of("c" * 64, {**MINE.labels("app"), labels.SLOT: "a1"}, "exited")
    assert found is not None
    assert found.state is ReplicaState.DEAD


def test_this_process_is_not_gone() -> None:
    """A living owner is never swept away."""
    assert not is_owner_gone(this_process())


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere the system keeps the time of day at which a process began")
@pytest.mark.parametrize("step", [-3600.0, -1.0, 2.0])
def test_an_owner_outlives_a_clock_that_is_set(step: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time of day that jumps makes no process another, so nobody's cluster is swept and no lease is taken."""
    owner, booted = this_process(), psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + step)
    assert psutil.boot_time() == booted + step
    assert not is_owner_gone(owner)
    assert this_process() == owner


def test_a_process_that_ended_is_gone() -> None:
    """The owner of a killed lab is recognised."""
    child = subprocess.run(
        [sys.executable, "-c", "from lab.machine.labels import this_process as t; print(t())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert is_owner_gone(child.stdout.strip())


def test_a_later_process_with_the_same_number_is_not_the_owner() -> None:
    """A pid that was reused does not keep a dead lab's cluster alive."""
    host = this_process().split(":")[0]
    assert is_owner_gone(f"{host}:{os.getpid()}:1.00")


def test_another_machines_owner_is_never_surely_gone() -> None:
    """An engine shared by two machines: the other's clusters are left alone."""
    assert not is_owner_gone("elsewhere:1:1.00")
    assert not is_owner_gone(labels.KEPT)


def test_a_living_owners_cluster_has_no_end() -> None:
    """A run of hours is nobody's to sweep while it runs."""
    mine = Identity(project="lab-x", run="r1", owner=this_process(), expires=1000)
    assert may_be_missed(mine, datetime.fromtimestamp(10**9, UTC))


@pytest.mark.parametrize("owner", ["elsewhere:1:1.00", labels.KEPT])
def test_the_cluster_of_an_owner_of_whom_nothing_is_known_has_its_time(owner: str) -> None:
    """Another machine's, or one that was left on purpose: it stays until then, and may be swept afterwards."""
    one = Identity(project="lab-x", run="r1", owner=owner, expires=1000)
    assert may_be_missed(one, datetime.fromtimestamp(999, UTC))
    assert not may_be_missed(one, datetime.fromtimestamp(1001, UTC))


def test_a_gone_owners_cluster_is_missed_by_nobody() -> None:
    """However much time it had."""
    host = this_process().split(":")[0]
    one = Identity(project="lab-x", run="r1", owner=f"{host}:{os.getpid()}:1.00", expires=4102444800)
    assert not may_be_missed(one, datetime.fromtimestamp(1000, UTC))
