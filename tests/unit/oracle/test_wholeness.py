"""A record that was cut, thinned or turned round is never green; a whole one is, also one of an earlier lab."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import msgspec
import pytest

from lab.clock import NS
from lab.errors import ExitCode
from lab.model import Kind, Operation, Outcome, Try, Verdict
from lab.oracle.wholeness import Wholeness
from lab.record import AnyEvent, PhaseBegan, ReadRecord, RunEnded, Trouble, written_by
from lab.run.judge import judge_run, scenario_of
from tests.golden import unpack
from tests.in_process import SMALL, InProcessLab, small

Lines = list[bytes]


def cut(count: int) -> Callable[[Lines], Lines]:
    return lambda lines: lines[:-count]


def without(part: bytes) -> Callable[[Lines], Lines]:
    return lambda lines: [line for line in lines if part not in line]


def renumbered(lines: Lines) -> Lines:
    """As somebody would who knows that numbers are looked at."""
    read = [msgspec.json.decode(line) for line in lines]
    return [msgspec.json.encode({**one, "id": number}) for number, one in enumerate(read)]


def unread(lines: Lines) -> Lines:
    """All that one user read in the end is gone, and nobody sees it by the numbers."""
    begun = len(lines) - len(lines) // 8
    kept = [line for number, line in enumerate(lines) if not (number >= begun and b'"user":"user-007"' in line)]
    assert len(kept) < len(lines)
    return renumbered(kept)


def fewer(lines: Lines) -> Lines:
    """Every third user never was, by whatever the operations say."""
    kept = [line for line in lines if int(msgspec.json.decode(line)["user"].rpartition("-")[2]) % 3]
    assert len(kept) < len(lines)
    return renumbered(kept)


def on_one_device(lines: Lines) -> Lines:
    """One of them never was."""
    device = next(found[0] for line in lines if (found := re.search(rb'"device":"user-\d+\.2"', line)))
    return renumbered([line for line in lines if device not in line])


def turned(lines: Lines) -> Lines:
    one = msgspec.json.decode(lines[50])
    return [*lines[:50], msgspec.json.encode({**one, "begin": one["end"] + 1}), *lines[51:]]


def unknown(lines: Lines) -> Lines:
    read = [msgspec.json.decode(line) for line in lines]
    writes = {"view", "add", "remove", "checkout", "rename"}
    return [
        msgspec.json.encode({**one, "outcome": "unknown", "answer": None} if one["kind"] in writes else one)
        for one in read
    ]


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("events.jsonl", lambda lines: lines[: len(lines) // 2], "before the users read back"),
        ("events.jsonl", without(b'"name":"read back"'), "before the users read back"),
        ("events.jsonl", without(b'"name":"down"'), "while the users read back"),
        ("history.jsonl", lambda lines: lines[: len(lines) * 4 // 5], "devices read nothing back in the end"),
        ("history.jsonl", lambda lines: [line for n, line in enumerate(lines) if n % 10], "operations are missing"),
        ("history.jsonl", without(b'"kind":"login"'), "operations are missing"),
        ("history.jsonl", lambda lines: [*lines, lines[-1]], "out of order"),
        ("history.jsonl", unread, "devices read nothing back in the end, such as user-007.1"),
        ("history.jsonl", fewer, "the record tells of 40 users, and its scenario of 60"),
        ("history.jsonl", on_one_device, "the record tells of 79 devices, and its scenario of 80"),
        ("history.jsonl", turned, "1 operations of the record end before they begin"),
        ("history.jsonl", unknown, "writes is unknown"),
    ],
    ids=[
        "half",
        "no read back",
        "no end",
        "80 %",
        "one in ten",
        "a kind",
        "twice",
        "unread",
        "fewer",
        "one device",
        "turned",
        "unknown",
    ],
)
def test_a_record_that_is_not_whole_is_not_green(
    tmp_path: Path, file: str, change: Callable[[Lines], Lines], told: str
) -> None:
    """Each was HELD with exit code 0 before."""
    folder = unpack("demo-held", tmp_path)
    lines = (folder / file).read_bytes().splitlines()
    (folder / file).write_bytes(b"\n".join(change(lines)) + b"\n")
    judgement = judge_run(ReadRecord(folder)).judgement
    assert any(told in reason for reason in judgement.reasons), judgement.reasons
    assert judgement.verdict is not Verdict.HELD
    assert judgement.exit_code in {ExitCode.COULD_NOT_TELL, ExitCode.BROKEN}


def _same(lines: Lines) -> Lines:
    return lines


def _another_answer(lines: Lines) -> Lines:
    """One that contradicts nothing: somebody never looked."""
    number = next(number for number, line in enumerate(lines) if b'"kind":"browse"' in line)
    return [*lines[:number], lines[number].replace(b'"kind":"browse"', b'"kind":"devices"'), *lines[number + 1 :]]


def _without_end(lines: Lines) -> Lines:
    return lines[:-1]


@pytest.mark.parametrize(
    ("events", "history", "told"),
    [
        (_same, _same, ""),
        (_without_end, _same, "the record ends while the users read back their state"),
        (_same, _another_answer, "its checksum is another"),
    ],
    ids=["whole", "no last line", "another answer"],
)
@pytest.mark.parametrize("processes", [1, 2])
def test_a_record_says_itself_what_it_comes_to(
    tmp_path: Path,
    events: Callable[[Lines], Lines],
    history: Callable[[Lines], Lines],
    told: str,
    processes: int,
) -> None:
    """Whatever is left out or put in after its end shows, also where the rest of it fits."""
    folder = unpack("demo-held", tmp_path)
    written = (folder / "history.jsonl").read_bytes()
    end = RunEnded(at=1, verdict="held", exit_code=0, operations=written.count(b"\n"), history=crc32(written))
    with (folder / "events.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(end) + b"\n")
    (folder / "environment.json").write_bytes(msgspec.json.encode(written_by()))
    for name, change in (("events.jsonl", events), ("history.jsonl", history)):
        lines = (folder / name).read_bytes().splitlines()
        (folder / name).write_bytes(b"\n".join(change(lines)) + b"\n")
    judgement = judge_run(ReadRecord(folder), processes=processes).judgement
    assert judgement.exit_code == (ExitCode.COULD_NOT_TELL if told else ExitCode.HELD)
    assert [told in reason for reason in judgement.reasons[:1]] == [True] * bool(told)


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of an upgrade, whose accounts have two devices: what one has just done is seen by the other first."""
    users = "{count: 6, on_two_devices: 6, think: 0.02, tries: 3}"
    steps = '[{settle: {for: 0.2}}, {roll: {to: "shop:v2"}}, {settle: {for: 0.2}}]'
    ended = InProcessLab(tmp_path_factory.mktemp("upgraded")).run(small(users=users, steps=steps))
    assert ended.code == ExitCode.HELD
    return ended.folder


@pytest.mark.slow
@pytest.mark.parametrize("ends", ["both files", "the operations"])
def test_wherever_a_record_is_cut_it_proves_nothing(upgraded: Path, tmp_path: Path, ends: str) -> None:
    """As a killed run leaves it: what was under way then is in no line, and what others saw of it is no fault."""
    history = (upgraded / "history.jsonl").read_bytes().splitlines(keepends=True)
    events = (upgraded / "events.jsonl").read_bytes().splitlines(keepends=True)
    when = [msgspec.json.decode(line)["at"] for line in events]
    for name in ("scenario.json", "environment.json"):
        (tmp_path / name).write_bytes((upgraded / name).read_bytes())
    (tmp_path / "events.jsonl").write_bytes(b"".join(events))
    for count in range(len(history)):
        (tmp_path / "history.jsonl").write_bytes(b"".join(history[:count]))
        if ends == "both files":
            at = msgspec.json.decode(history[count - 1])["end"] if count else 0
            (tmp_path / "events.jsonl").write_bytes(
                b"".join(line for line, moment in zip(events, when, strict=True) if moment <= at)
            )
        judgement = judge_run(ReadRecord(tmp_path)).judgement
        assert judgement.exit_code == ExitCode.COULD_NOT_TELL, (count, judgement.findings[:1], judgement.reasons)


def test_a_fault_that_was_certain_before_a_record_was_cut_stays_one(tmp_path: Path) -> None:
    """Found while everybody was quiet, and so explained by nothing that came later."""
    folder = unpack("lost-update", tmp_path)
    whole = judge_run(ReadRecord(folder)).judgement
    lines = (folder / "history.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "history.jsonl").write_bytes(b"".join(lines[: len(lines) * 9 // 10]))
    events = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "events.jsonl").write_bytes(b"".join(line for line in events if b'"read back"' not in line))
    assert judge_run(ReadRecord(folder)).judgement.exit_code == whole.exit_code == ExitCode.BROKEN


def test_a_run_writes_what_its_record_comes_to(tmp_path: Path) -> None:
    """Whatever it is judged to be."""
    folder = InProcessLab(tmp_path).run(SMALL).folder
    [end] = [event for event in ReadRecord(folder).events() if isinstance(event, RunEnded)]
    assert end.history == crc32((folder / "history.jsonl").read_bytes())


READ = Operation(
    id=0, user="u", device="u.1", kind=Kind.CART, begin=9 * NS, end=9 * NS + 5, outcome=Outcome.OK,
    tries=(Try(begin=9 * NS, end=9 * NS + 5, result="200"),),
)  # fmt: skip
BACK, DOWN = PhaseBegan(at=8 * NS, name="read back"), PhaseBegan(at=10 * NS, name="down")
ENDED = RunEnded(at=11 * NS, verdict="held", exit_code=0, operations=1)


def reasons(events: list[AnyEvent], operations: list[Operation], *, is_over: bool = False) -> tuple[str, ...]:
    whole = Wholeness()
    for event in events:
        whole.event(event)
    for operation in operations:
        whole.operation(operation)
    return whole.reasons(is_over=is_over)


def test_a_run_ends_with_its_last_line_or_with_the_word_of_whoever_wrote_it() -> None:
    """A test's run has no cluster that goes with it; a run that is judged has no last line yet."""
    assert reasons([BACK, ENDED], [READ]) == ()
    assert reasons([BACK, DOWN], [READ]) == ()
    assert reasons([BACK], [READ], is_over=True) == ()
    assert reasons([BACK], [READ]) == ("the record ends while the users read back their state",)


def test_what_the_run_itself_counted_is_held_against_the_record() -> None:
    """The last lines of the history are missing, and nothing else shows it."""
    counted = msgspec.structs.replace(ENDED, operations=3)
    assert reasons([BACK, counted], [READ]) == ("the record holds 1 operations, but the run made 3",)


def test_a_run_that_met_trouble_says_so_in_its_own_words() -> None:
    """Beside which nothing is told of what it lacks."""
    assert reasons([Trouble(at=1, what="the engine went away")], [READ]) == ()


def test_a_record_of_before_is_judged_by_what_was_asked_then(tmp_path: Path) -> None:
    """`serving_at_least` was 5 where a scenario said nothing; a key had another name."""
    folder = unpack("demo-held", tmp_path)
    document = msgspec.json.decode((folder / "scenario.json").read_bytes())
    document.pop("time_limit", None)
    (folder / "scenario.json").write_bytes(
        msgspec.json.encode({**document, "promises": {}, "longer_than": 77, "cluster": {"release": "shop:v1"}})
    )
    before = scenario_of(ReadRecord(folder))
    assert (before.serving_floor, before.time_limit) == (5, 77)
    zones = {"release": "shop:v1", "zones": {"a": 9}}
    (folder / "scenario.json").write_bytes(msgspec.json.encode({**document, "promises": {}, "cluster": zones}))
    assert scenario_of(ReadRecord(folder)).serving_floor == 5
    (folder / "environment.json").write_bytes(msgspec.json.encode(written_by()))
    assert scenario_of(ReadRecord(folder)).serving_floor == 8
