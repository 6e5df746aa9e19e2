"""A record judged by several processes, each with some of the users, is judged as by one."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import pytest

from lab.clock import NS
from lab.model import Try, TryResult
from lab.oracle.mute import MuteNotes, MuteSpells
from lab.oracle.verdict import Judgement
from lab.record import ReadRecord
from lab.run.judge import judge_run
from tests import golden


def judged(folder: Path, processes: int) -> Judgement:
    """Findings in an order of their own: which of two becomes certain first is each process's matter."""
    found = judge_run(ReadRecord(folder), processes=processes)
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
