"""Single requests that somebody asks for: all that matter, the rest evenly, and whatever the record holds."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest

from lab.clock import NS
from lab.errors import RecordError, UsageError
from lab.model import Finding, Kind, Operation, Outcome, Try
from lab.oracle.service import is_proper
from lab.record import PhaseBegan, RunRecord
from lab.report.kinds import MOST, OTHER, KindTally, request_name
from lab.report.requests import MOST_ASKED, KeptRequests, RequestFinder, RequestTable
from tests.unit.report.making import MS, read

BEGAN = 5 * NS


def failed(end: int, number: int, user: int) -> Operation:
    """Two tries, of which the last is answered with 503 by another replica."""
    tries = (
        Try(begin=end - 20 * MS, end=end - 9 * MS, result="cut", edge=("a1",)),
        Try(begin=end - 8 * MS, end=end, result="503", replica="b1-2", release="v2", edge=("a1", "b1")),
    )
    return read(end, number, user, tries=tries, outcome=Outcome.UNKNOWN, answer=None)


def test_what_failed_is_kept_and_the_rest_evenly() -> None:
    """However long a run is: bounded memory, every failure, and plain requests from its beginning to its end."""
    kept = KeptRequests(BEGAN, most=100)
    for number in range(10_000):
        end = BEGAN + number * 10 * MS
        kept.take(failed(end, number, 1) if number % 400 == 7 else read(end, number, number % 50))
    table = kept.table()
    assert table.total == 10_000
    assert sum(one.outcome == 2 for one in table.rows) == 25
    assert 75 < len(table.rows) <= 125
    begins = [one.begin for one in table.rows]
    assert begins == sorted(begins)
    gaps = [later - before for before, later in itertools.pairwise(begins)]
    assert max(gaps) < 3


def test_what_proves_a_finding_is_kept_with_all_around_it() -> None:
    """Of the user who was hurt nothing is left out for ten seconds."""
    witness = read(BEGAN + 50 * NS, 5000, 3)
    found = Finding(
        promise="state_kept", anomaly="lost write", user="user-003", at=witness.end, why="", witness=(witness,)
    )
    kept = KeptRequests(BEGAN, [found], most=50)
    for number in range(10_000):
        kept.take(read(BEGAN + number * 10 * MS, number, number % 400))
    table = kept.table()
    [proof] = [one for one in table.rows if one.is_witness]
    assert proof.begin == pytest.approx(49.98)
    near = [one for one in table.rows if table.words[one.user] == "user-003" and 40 < one.begin < 60]
    assert len(near) == 5


def test_a_row_says_what_happened() -> None:
    """Each try with who answered, by way of whom, what and how fast."""
    kept = KeptRequests(BEGAN)
    kept.take(failed(BEGAN + NS, 1, 7))
    table = kept.table()
    [row] = table.rows
    first, last = row.tries
    assert (row.begin, row.took, table.words[row.kind]) == (0.98, 20.0, "cart")
    assert (table.words[first.result], first.replica, first.took) == ("cut", -1, 11.0)
    assert (last.after, last.took) == (12.0, 8.0)
    assert [table.words[one] for one in (last.result, last.replica, last.release, last.edge)] == [
        "503",
        "b1-2",
        "v2",
        "a1 b1",
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten thousand requests of twenty users, one a hundredth of a second."""
    folder = tmp_path / "run"
    with RunRecord(folder) as record:
        record.event(PhaseBegan(at=BEGAN, name="up"))
        for number in range(10_000):
            end = BEGAN + number * 10 * MS
            record.operation(failed(end, number, 9) if number == 7777 else read(end, number, number % 20))
    return folder


def test_a_record_is_asked_by_user_slot_kind_and_time(folder: Path) -> None:
    """By reading no more of it than needed, whatever its length: what is found is what a whole reading finds."""
    finder = RequestFinder(folder)

    def find(**given: str) -> RequestTable:
        return msgspec.json.decode(finder.answer(given), type=RequestTable)

    mine = find(user="user-003")
    assert (mine.total, {mine.words[one.user] for one in mine.rows}) == (500, {"user-003"})
    window = find(since="60", until="61")
    assert window.total == len(window.rows) == 102 + 1
    assert min(one.begin for one in window.rows) >= 59.97
    assert max(one.begin for one in window.rows) <= 61
    [elsewhere] = find(slot="b1").rows
    assert elsewhere.begin == pytest.approx(77.75)
    assert find(kind="login").total == 0
    everything = find()
    assert everything.total == 10_000
    assert len(everything.rows) <= MOST_ASKED + 1
    assert any(one.outcome == 2 for one in everything.rows)


def test_a_record_that_grows_is_asked_as_far_as_it_goes(tmp_path: Path) -> None:
    """Before it is there, and while its last line is being written."""
    finder = RequestFinder(tmp_path / "run")
    assert b'"total":0' in finder.answer({})
    with RunRecord(tmp_path / "run") as record:
        record.event(PhaseBegan(at=BEGAN, name="up"))
        record.operation(read(BEGAN + NS, 1))
    history = tmp_path / "run" / "history.jsonl"
    history.write_bytes(history.read_bytes() + b'{"id":2,"us')
    assert b'"total":1' in finder.answer({})
    history.write_bytes(b"nonsense\n")
    with pytest.raises(RecordError, match="can't be read"):
        finder.answer({})


@pytest.mark.parametrize("given", [{"since": "soon"}, {"whom": "user-001"}])
def test_what_is_no_question_is_refused(folder: Path, given: dict[str, str]) -> None:
    """With what can be asked."""
    with pytest.raises(UsageError, match="no such question"):
        RequestFinder(folder).answer(given)


def test_kinds_are_counted_as_the_verdict_counts_failures() -> None:
    """Requests, those without a proper answer, those that were repeated, and their percentiles."""
    tally = KindTally()
    for number in range(99):
        tally.take(read(BEGAN + number * NS, number))
    bad = failed(BEGAN + 100 * NS, 99, 1)
    assert not is_proper(bad.final, bad)
    tally.take(bad)
    tally.take(read(BEGAN + 100 * NS, 100, is_conclusion=True))
    count = tally.counts()["cart"]
    assert (count.requests, count.failed, count.repeated) == (100, 1, 1)
    assert count.p50 == pytest.approx(20, rel=0.05)
    assert count.slowest == 20.0


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("GET /orders/17?page=2", "GET /orders/*"),
        ("POST /cart (to /login?next=/cart)", "POST /cart"),
        ("PUT /notes/user-001.2/text", "PUT /notes/*/text"),
        ("GET /healthz", "GET /healthz"),
        ("something else", "act"),
    ],
)
def test_a_request_of_ones_own_app_is_named_by_its_route(argument: str, name: str) -> None:
    """Without what names one thing of many, or each would be a kind of its own."""
    one = msgspec.structs.replace(read(BEGAN, 0), kind=Kind.ACT, argument=argument)
    assert request_name(one) == name


def test_kinds_beyond_what_a_table_holds_are_counted_together() -> None:
    """Nothing is left out."""
    tally = KindTally()
    for number in range(2 * MOST):
        path = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        tally.take(msgspec.structs.replace(read(BEGAN, number), kind=Kind.ACT, argument=f"GET /{path}"))
    counts = tally.counts()
    assert len(counts) == MOST + 1
    assert counts[OTHER].requests == MOST
