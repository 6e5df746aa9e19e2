"""What a worker in a container says is heard through its engine, whatever pieces it comes in."""

from __future__ import annotations

from random import Random
from typing import Any, cast

import pytest
from docker import APIClient

from lab.cluster.swarm_crowd import TaskLine
from lab.cluster.swarm_stack import CROWD, crowd_service
from lab.cluster.swarm_tasks import Task
from lab.machine import labels
from lab.machine.labels import Identity

TASK = Task(id="t", number=1, node="n", state="running", is_wanted=True, container="c" * 64, release="", image="i")


class Attached:
    """What an engine gives for a container's input and outputs: the pieces that are left, then the end."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces, self.taken, self.is_shut = pieces, b"", False

    def settimeout(self, _: float | None) -> None:
        pass

    def recv(self, _: int) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def sendall(self, data: bytes) -> None:
        self.taken += data

    def shutdown(self, _: int) -> None:
        self.is_shut = True


class Engine:
    def __init__(self, attached: Attached) -> None:
        self.attached, self.asked = attached, dict[str, Any]()

    def attach_socket(self, container: str, params: dict[str, Any]) -> Attached:
        self.asked = {"container": container, **params}
        return self.attached


def line_of(attached: Attached) -> tuple[TaskLine, Engine]:
    engine = Engine(attached)
    return TaskLine(cast(APIClient, engine), TASK, "node2"), engine


def framed(sort: int, data: bytes) -> bytes:
    return bytes([sort, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize("seed", range(5))
def test_both_outputs_are_told_apart(seed: int) -> None:
    """All that came on standard output in its order; the last line of standard error beside."""
    chance = Random(seed)
    stream = b"".join(
        framed(1, b"%04d" % number) if number % 7 else framed(2, b"line %d\n" % number) for number in range(200)
    )
    pieces = []
    while stream:
        cut = chance.randint(1, 50)
        pieces.append(stream[:cut])
        stream = stream[cut:]
    line, _ = line_of(Attached(pieces))
    heard = b"".join(iter(line.receive, b""))
    assert heard == b"".join(b"%04d" % number for number in range(200) if number % 7)
    assert line.last_words() == "line 196"


def test_what_is_said_goes_to_its_input() -> None:
    """Of the whole container, whose end is the end of the line."""
    attached = Attached([])
    line, engine = line_of(attached)
    line.send(b"ping")
    assert attached.taken == b"ping"
    assert engine.asked == {"container": "c" * 64, "stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    assert line.receive() == b""
    line.close()
    assert attached.is_shut


def test_a_worker_that_ended_is_not_started_again() -> None:
    """Nobody knows what its users had done; and what passes through its output is kept in no log."""
    identity = Identity(project="lab-x", run="x", owner="me", expires=1)
    spec = crowd_service(identity, "worker:1", "net", 3)
    task = spec["task_template"]
    assert task["RestartPolicy"]["Condition"] == "none"
    assert task["LogDriver"] == {"Name": "none"}
    assert task["ContainerSpec"]["OpenStdin"] is True
    assert task["ContainerSpec"]["Labels"][labels.ROLE] == CROWD
    assert spec["mode"]["replicated"]["Replicas"] == 3
