"""The record is written line by line and read back whole, torn tails and all."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from lab.errors import RecordError
from lab.model import Kind, Operation, Outcome, Try
from lab.record import PhaseBegan, ReadRecord, RunRecord, Serving

OPERATION = Operation(
    id=1, user="user-001", device="1", kind=Kind.ADD, begin=5, end=9, outcome=Outcome.OK, key="user-001.1.1",
    argument=2, tries=(Try(begin=5, end=9, result="200", replica="a1-1", release="v1", edge=("a1",)),),
)  # fmt: skip


def write(folder: Path, operations: int) -> None:
    with RunRecord(folder) as run:
        run.event(PhaseBegan(at=1, name="up"))
        run.event(Serving(at=2, by_release={"v1": 6}, total=6))
        for _ in range(operations):
            run.operation(OPERATION)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Events and operations come back as the values they were."""
    write(tmp_path / "run", 100)
    seen = ReadRecord(tmp_path / "run")
    assert list(seen.events()) == [PhaseBegan(at=1, name="up"), Serving(at=2, by_release={"v1": 6}, total=6)]
    assert list(seen.history()) == [OPERATION] * 100
    assert seen.torn == 0


def test_an_event_is_on_disk_when_it_has_been_reported(tmp_path: Path) -> None:
    """A strike is in the record before it is done: a lab that is killed then still tells of it."""
    run = RunRecord(tmp_path / "run")
    run.event(PhaseBegan(at=1, name="up"))
    assert list(ReadRecord(tmp_path / "run").events()) == [PhaseBegan(at=1, name="up")]
    run.close()


def test_a_torn_tail_is_skipped_and_counted(tmp_path: Path) -> None:
    """A full disk or a killed lab tears the last line; the lines before it still stand."""
    write(tmp_path / "run", 3)
    path = tmp_path / "run" / "history.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    seen = ReadRecord(tmp_path / "run")
    for _ in range(3):
        assert len(list(seen.history())) == 2
    assert seen.torn == 1, "one line is one, however often it is read"


def test_a_line_that_the_disk_takes_in_part_is_an_error_and_the_last(tmp_path: Path) -> None:
    """A raw write to a disk that is full takes what fits and raises nothing; what was whole stays readable."""
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    run = RunRecord(tmp_path / "run")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        for _ in range(20):
            run.operation(OPERATION)
        with pytest.raises(RecordError, match="bytes were taken"):
            run.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    run.operation(OPERATION)
    with pytest.raises(RecordError, match="in part"):
        run.flush()
    run.close()
    seen = ReadRecord(tmp_path / "run")
    assert set(seen.history()) == {OPERATION}
    assert seen.torn == 1


def test_a_broken_line_in_the_middle_is_an_error_with_its_number(tmp_path: Path) -> None:
    """Only a tail can be torn; anything else means that the record was changed."""
    write(tmp_path / "run", 3)
    path = tmp_path / "run" / "history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{}\n" + lines[2])
    with pytest.raises(RecordError, match="line 2"):
        list(ReadRecord(tmp_path / "run").history())


def test_a_folder_that_is_taken_is_never_written_over(tmp_path: Path) -> None:
    """Two runs never share a record."""
    write(tmp_path / "run", 1)
    with pytest.raises(RecordError):
        RunRecord(tmp_path / "run")
