"""A class: what seats tell, what their trainer sees, who is let in, and that nothing else leaves a machine."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from lab.cli import run_command_line
from lab.clock import FakeClock
from lab.errors import ExitCode, UsageError
from lab.lessons.class_room import ClassAddresses, ClassSpec, check_bind, open_class
from lab.lessons.command import Workshop
from lab.lessons.joined import FILE
from lab.lessons.seats import MOST_SEATS, SeatPlan, SeatWord


@pytest.fixture
def plan() -> SeatPlan:
    return SeatPlan()


@pytest.fixture
def room(plan: SeatPlan) -> Iterator[ClassAddresses]:
    with open_class(ClassSpec(), plan) as found:
        yield found


def lesson(folder: Path, *argv: str) -> int:
    return run_command_line(["lesson", "--folder", str(folder), *argv])


def asked(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    there = urlsplit(url)
    with closing(http.client.HTTPConnection(there.hostname or "", there.port, timeout=5)) as connection:
        connection.request(method, there.path or "/", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_a_seat_joins_begins_takes_a_hint_and_waits(room: ClassAddresses, plan: SeatPlan, tmp_path: Path) -> None:
    """The trainer sees each of it, and whoever waits stands first."""
    assert lesson(tmp_path / "ben", "join", room.seats, "--as", "ben") == ExitCode.HELD
    assert lesson(tmp_path, "join", room.seats, "--as", "anna") == ExitCode.HELD
    assert lesson(tmp_path, "start", "2") == ExitCode.HELD
    assert lesson(tmp_path, "hint") == ExitCode.HELD
    assert lesson(tmp_path, "help") == ExitCode.HELD
    first, second = plan.seats()
    assert (first.word.name, first.word.needs_help, first.word.hints) == ("anna", True, 1)
    assert first.word.lesson.startswith("2 ")
    assert second.word == SeatWord(name="ben")
    status, body = asked(f"{room.page}/seats")
    assert status == 200
    assert [one["word"]["name"] for one in msgspec.json.decode(body)["seats"]] == ["anna", "ben"]
    assert lesson(tmp_path, "help", "--done") == ExitCode.HELD
    assert not any(one.waits_since for one in plan.seats())


def test_whoever_left_tells_nothing_more(room: ClassAddresses, plan: SeatPlan, tmp_path: Path) -> None:
    """And whoever joined none never did."""
    assert lesson(tmp_path / "other", "start", "1") == ExitCode.HELD
    assert lesson(tmp_path, "join", room.seats, "--as", "anna") == ExitCode.HELD
    assert lesson(tmp_path, "leave") == ExitCode.HELD
    assert lesson(tmp_path, "start", "1") == ExitCode.HELD
    assert [one.word for one in plan.seats()] == [SeatWord(name="anna")]
    assert lesson(tmp_path, "help") == ExitCode.USAGE
    assert not (tmp_path / FILE).exists()


def test_a_class_that_is_gone_stops_no_lesson(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said, once for each word that nobody heard."""
    with open_class(ClassSpec(), SeatPlan()) as found:
        assert lesson(tmp_path, "join", found.seats, "--as", "anna") == ExitCode.HELD
    assert lesson(tmp_path, "start", "1") == ExitCode.HELD
    assert "the class did not hear it" in capsys.readouterr().out


def test_nobody_joins_without_the_code_or_by_another_sites_page(room: ClassAddresses, plan: SeatPlan) -> None:
    """Nor with a word of another shape, or a long one."""
    word = msgspec.json.encode(SeatWord(name="anna"))
    there = room.seats.rpartition("/")[0]
    assert asked(f"{there}/wrong/seat", "POST", word)[0] == 404
    assert asked(f"{room.seats}/seat", "POST", word, Origin="http://evil.example")[0] == 403
    assert asked(f"{room.seats}/seat", "POST", b'{"name": "anna", "password": "x"}')[0] == 400
    assert asked(f"{room.seats}/seat", "POST", b" " * 5000)[0] == 413
    assert asked(f"{room.seats}/seat", "POST", msgspec.json.encode({"name": "<b>"}))[0] == 409
    assert plan.seats() == ()
    assert asked(f"{room.seats}/seat", "POST", word)[0] == 200


def test_seats_show_nothing_and_the_page_only_to_this_machine(room: ClassAddresses) -> None:
    """A name that somebody made to mean this machine opens nothing."""
    there = room.seats.rpartition("/")[0]
    assert asked(f"{there}/seats")[0] in {404, 501}
    assert asked(f"{room.page}/seats", Host="evil.example")[0] == 400
    status, body = asked(room.page)
    assert status == 200
    assert b"waits for help" in body


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "224.0.0.1", "room", ""])  # noqa: S104 -- refused
def test_a_class_is_never_open_to_all_networks(bind: str) -> None:
    """One address, said by hand."""
    with pytest.raises(UsageError):
        check_bind(bind)


def test_names_are_names_and_a_room_is_full_at_some_time() -> None:
    """Whoever has a seat keeps it."""
    plan = SeatPlan(FakeClock())
    for number in range(MOST_SEATS):
        plan.take(SeatWord(name=f"seat {number}"))
    plan.take(SeatWord(name="seat 1", failed=2))
    with pytest.raises(UsageError, match="all are taken"):
        plan.take(SeatWord(name="one more"))
    for name in ("", "<script>", "a\nb", "x" * 41):
        with pytest.raises(UsageError):
            plan.take(SeatWord(name=name))


def test_a_lesson_is_checked_again_when_a_file_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that can't be used is told and waited out; what is passed ends it."""
    lines: list[str] = []
    workshop = Workshop(tmp_path, lines.append)
    workshop.start("1")
    mine = next(one for one in (tmp_path / "01-state-is-a-bug").rglob("*.py"))
    came: list[UsageError | int] = [UsageError("is no Python", at="kept.py"), ExitCode.BROKEN, ExitCode.HELD]
    clock = FakeClock()
    looks: list[int] = []

    def check(_: object, **__: object) -> int:
        looks.append(clock.now())
        one = came.pop(0)
        if isinstance(one, UsageError):
            raise one
        return one

    def sleep(seconds: float) -> None:
        clock._now += int(seconds * 1e9)
        if clock.now() > 2e9 * len(looks):
            mine.write_text(mine.read_text() + "#\n")

    monkeypatch.setattr(workshop, "check", check)
    monkeypatch.setattr(clock, "sleep", sleep)
    assert workshop.check_again(None, seed=None, port=None, page=None, clock=clock) == ExitCode.HELD
    assert len(looks) == 3
    assert looks[0] < looks[1] < looks[2]
    assert any("is no Python" in line for line in lines)
