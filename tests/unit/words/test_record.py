"""The record is written line by line and read back whole, torn tails and all."""

from __future__ import annotations

import io
import resource
import signal
import time
from pathlib import Path

import msgspec
import pytest

from lab.errors import RecordError
from lab.model import Kind, Operation, Outcome, Try
from lab.record import FORMAT, FollowedRecord, PhaseBegan, ReadRecord, RunRecord, Serving, write_whole, written_by
from lab.record.reading import LONGEST, _chunks

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


def spoilt(folder: Path, file: str, content: bytes) -> ReadRecord:
    write(folder, 3)
    (folder / file).write_bytes(content)
    return ReadRecord(folder)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"kind":"phase-began","at":1,"name":"\xff"}\n', "line 2: can't be read"),
        (b'{"kind":"phase-began","at":1,"name":"\\ud800"}\n', "line 2: can't be read"),
        (b"{}\n", "line 2: can't be read"),
        (b"[" * 100_000 + b"\n", "line 2: can't be read"),
        (b'{"kind":"moon-landed","at":1}\n', "line 2: can't be read"),
        (b'{"kind":"phase-began","at":1,"name":"up","colour":1}\n', "a later lab may have written it"),
    ],
)
def test_a_hostile_line_is_told_with_its_file_and_number(tmp_path: Path, line: bytes, told: str) -> None:
    """Never as an internal error; and the last line too, where it has an end."""
    first = b'{"kind":"phase-began","at":1,"name":"up"}\n'
    for number, after in enumerate((b"", first * 3)):
        seen = spoilt(tmp_path / str(number), "events.jsonl", first + line + after)
        with pytest.raises(RecordError) as raised:
            list(seen.events())
        assert "events.jsonl, line 2" in str(raised.value)
        assert told in str(raised.value)
        with pytest.raises(RecordError, match=r"events\.jsonl"):
            FollowedRecord(tmp_path / str(number)).events()


@pytest.mark.parametrize("content", [b"\xff", b"{", b"[" * 100_000, b'"\\ud800"'])
def test_a_hostile_document_is_told_with_its_file(tmp_path: Path, content: bytes) -> None:
    """And the record can still be opened, for what else it holds."""
    seen = spoilt(tmp_path / "run", "environment.json", content)
    with pytest.raises(RecordError, match=r"environment\.json: can't be read"):
        seen.document("environment.json")


def test_a_record_of_a_later_lab_says_which_one_is_needed(tmp_path: Path) -> None:
    """Before anything of it is taken for something else."""
    write(tmp_path / "run", 1)
    later = b'{"format":%d,"lab":"7.1"}' % (FORMAT + 1)
    (tmp_path / "run" / "environment.json").write_bytes(later)
    with pytest.raises(RecordError, match=rf"(?s)is of format {FORMAT + 1}.*cluster-lab 7\.1 or later"):
        ReadRecord(tmp_path / "run")
    assert written_by()["format"] == FORMAT


def test_a_long_line_takes_time_in_proportion(tmp_path: Path) -> None:
    """60 MB took over 15 s, since what had been read was put together again with each piece."""
    long = msgspec.json.encode(msgspec.structs.replace(OPERATION, answer="x" * 40_000_000)) + b"\n"
    seen = spoilt(tmp_path / "run", "history.jsonl", long)
    began = time.process_time()
    assert [one.user for one in seen.history()] == ["user-001"]
    assert time.process_time() - began < 3
    with pytest.raises(RecordError, match="is longer than"):
        list(_chunks(io.BytesIO(b"x" * (LONGEST + 1)).read, Path("x")))


def test_a_document_that_the_disk_refuses_leaves_the_old_one(tmp_path: Path) -> None:
    """Half a report would look like one."""
    path = tmp_path / "report.md"
    write_whole(path, b"old")
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        with pytest.raises(OSError, match="large"):
            write_whole(path, b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["report.md"]
