"""A record judged by several processes, each with some of the users, is judged as by one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import msgspec
import psutil
import pytest

from lab.clock import NS
from lab.errors import ExitCode
from lab.model import Try, TryResult
from lab.oracle.mute import MuteNotes, MuteSpells
from lab.oracle.verdict import Judgement
from lab.record import ReadRecord
from lab.record.reading import part_of
from lab.run.judge import judge_run
from lab.run.tally import MOST_PER_PART, parts_of
from tests import golden

pytestmark = pytest.mark.slow


def judged(folder: Path, processes: int, parts: int = 0) -> Judgement:
    """Findings in an order of their own: which of two becomes certain first is each process's matter."""
    found = judge_run(ReadRecord(folder), processes=processes, parts=parts)
    findings = sorted(found.judgement.findings, key=lambda one: (one.at, one.promise, one.user, one.why))
    return msgspec.structs.replace(
        found.judgement,
        findings=tuple(findings),
        evidence=msgspec.structs.replace(found.judgement.evidence, findings=()),
    )


@pytest.mark.parametrize("name", golden.names())
def test_every_recorded_run_is_judged_as_by_one_process(name: str, tmp_path: Path) -> None:
    """Verdict, counts, occasions, findings and reasons."""
    folder = golden.unpack(name, tmp_path)
    assert judged(folder, 2) == judged(folder, 1)


def test_parts_that_are_judged_one_after_another_say_the_same(tmp_path: Path) -> None:
    """However many: each in a process of its own, whose memory goes with it."""
    folder = golden.unpack("memory", tmp_path)
    before = sorted(folder.iterdir())
    assert judged(folder, 1, parts=3) == judged(folder, 1)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS])
def test_where_there_is_no_room_for_parts_each_reads_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    """A full disk, or one that nobody may write to, changes nothing of what is said; and nothing is left there."""
    folder = golden.unpack("memory", tmp_path)
    expected, written = judged(folder, 1), list[Path]()

    def refuse(_: object, of: int, into: Path, **__: object) -> None:
        written.extend(into / str(number) for number in range(of))
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(ReadRecord, "divide", refuse)
    assert judged(folder, 1, parts=3) == expected
    assert written
    assert not written[0].parent.exists()


def test_a_long_record_is_judged_in_parts() -> None:
    """So that memory is bounded; a short one as asked."""
    assert [parts_of(size, processes) for size, processes in ((1000, 1), (1000, 2))] == [1, 2]
    assert parts_of(MOST_PER_PART, 1) == 1
    assert parts_of(MOST_PER_PART + 1, 1) == 2
    assert [parts_of(5 * MOST_PER_PART, processes) for processes in (1, 2, 3)] == [5, 6, 6]


def test_the_first_part_has_fewer_users() -> None:
    """It looks at all lines besides; every user is in one part."""
    users = [f"user-{number:03}".encode() for number in range(20_000)]
    for of in (2, 3, 5):
        counts = Counter(part_of(user, of) for user in users)
        assert set(counts) == set(range(of))
        assert 0.80 < counts[0] * (of - 1) / (len(users) - counts[0]) < 0.89


@pytest.mark.parametrize("spoil", ["torn", "missing", "unreadable"])
def test_what_is_wrong_with_a_record_is_told_as_by_one_process(spoil: str, tmp_path: Path) -> None:
    """With the line's number, where a line can't be read."""
    folder = golden.unpack("demo-held", tmp_path)
    history = folder / "history.jsonl"
    lines = history.read_bytes().splitlines(keepends=True)
    match spoil:
        case "torn":
            lines[-1] = lines[-1][: len(lines[-1]) // 2]
        case "missing":
            del lines[len(lines) // 2]
        case _:
            lines[7] = b"{}\n"
    history.write_bytes(b"".join(lines))
    assert judged(folder, 2).reasons
    assert judged(folder, 2) == judged(folder, 1)
    assert judged(folder, 1, parts=2) == judged(folder, 1)


@pytest.mark.parametrize("seed", range(20))
def test_slots_that_fell_silent_are_found_whoever_noted_what(seed: int) -> None:
    """Failures of one process and answers of another meet in the order in which they came."""
    random, whole, parts = Random(seed), MuteSpells(), [MuteNotes(), MuteNotes(), MuteNotes()]
    at = 0
    for _ in range(3000):
        at += random.randrange(1, NS // 20)
        slot, part = random.choice(["a1", "b1"]), random.choice(parts)
        fails = random.random() < (0.999 if (at // (5 * NS)) % 3 == 0 and slot == "a1" else 0.1)
        for one in (whole, part):
            one.at = at
            if fails:
                one.note_failed(slot, Try(at - NS // 10, at, TryResult.TIMEOUT))
            else:
                one.note_good(slot)
    found = MuteSpells.of_all(parts)
    assert found._found == whole._found
    assert whole._found


@pytest.mark.slow
def test_who_is_told_to_stop_waits_for_no_part(tmp_path: Path) -> None:
    """Parts of a long record take minutes; none is left behind, either."""
    folder = golden.unpack("memory", tmp_path)
    history = folder / "history.jsonl"
    history.unlink()
    os.mkfifo(history)
    argv = [sys.executable, "-P", "-m", "lab", "check", str(folder), "--processes", "2", "--parts", "2"]
    with (
        subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as check,
        history.open("wb"),  # a part has opened it, and waits for what never comes
    ):
        parts = psutil.Process(check.pid).children(recursive=True)
        check.terminate()
        _, said = check.communicate(timeout=20)
        _, left = psutil.wait_procs(parts, timeout=20)
    assert check.returncode == ExitCode.TERMINATED, said
    assert parts
    assert not left
