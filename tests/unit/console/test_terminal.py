"""What a person sees on a terminal: as much as it has room for, in the words that were given."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from lab.clock import NS
from lab.console.terminal import LiveView, PlainView, closing_text, fitted, say_closing
from lab.model import Finding, Slot
from lab.oracle.closing import Interference
from lab.oracle.promises import LOGGED_IN, STATE_KEPT
from lab.record import PhaseBegan
from lab.report.board import Board, SlotView, fold
from lab.run.view import Moment
from lab.users.counts import CrowdCounts
from tests.unit.report.making import read

SIX = tuple(Slot(name=name, zone=name[0]) for name in ("a1", "b1", "c1", "a2", "c2", "c3"))
COUNTS = CrowdCounts(
    users=60,
    devices=80,
    logged_in=80,
    in_flight=3,
    operations=4000,
    tries=4100,
    first_tries_failed=100,
    saved_by_retry=90,
    lost=10,
    by_release={"v1": 9, "v2": 9},
    by_release_last_second={"v1": 70, "v2": 80},
    repeated_at_edge=12,
    worst_lag=0.0,
)
STATES_LOST = Finding(
    promise=STATE_KEPT,
    anomaly="lost write",
    user="user-007",
    at=5 * NS,
    why="a line that was acknowledged is not there",
    witness=(read(4 * NS, 1, 7), read(5 * NS, 2, 7, answer={"x": 1})),
)
MOMENT = Moment(
    now=12 * NS,
    board=Board(
        began=0,
        slots={slot.name: SlotView(slot=slot.name, zone=slot.zone) for slot in SIX},
        phase="together",
        phases=4,
        text="rolling upgrade to shop:v2; replicas that serve are struck at random",
        to_come=("settle", "read back", "clean up"),
        done=Interference(replacements=9, kills=4, zones_lost=1),
        news=tuple(
            f"{number:6.1f} s  SIGKILL to b{number}-2 (v1) while it served; 6 were serving, and more words"
            for number in range(30)
        ),
        told=30,
    ),
    counts=COUNTS,
    users_hurt=1,
    checks={STATE_KEPT: 1728, LOGGED_IN: 9000},
    findings=[STATES_LOST],
    within=240,
)


def drawn(moment: Moment, title: str = "t", *, say: str = "", width: int = 120, height: int = 40) -> str:
    """What a terminal without colours gets."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=True, color_system=None)
    with LiveView(title, console) as view:
        view.say(say)
        view.show(moment)
    return out.getvalue()


def begun(slots: tuple[Slot, ...] = ()) -> Moment:
    views = {slot.name: SlotView(slot=slot.name, zone=slot.zone) for slot in slots}
    return Moment(now=0, board=Board(began=0, slots=views), counts=None, users_hurt=0)


def test_every_slot_is_drawn_where_zones_are_uneven() -> None:
    """The shortest zone does not hide what others have more."""
    text = drawn(begun(SIX))
    assert [slot.name for slot in SIX if f"{slot.name} ·" not in text] == []


@pytest.mark.parametrize("words", ["Orders [v2] survive", "Roll to [/v2]", "Users at :warning: levels"])
def test_words_are_nothing_but_words(words: str) -> None:
    """A scenario's title, and what is said: neither is markup."""
    assert words in drawn(begun(), words)
    assert words in drawn(begun(), say=words)


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("height", [20, 24, 40, 48])
def test_the_board_has_the_size_of_the_terminal(width: int, height: int) -> None:
    """It uses all of its rows and no more."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(LiveView("t", console)._draw(MOMENT))
    lines = captured.get().rstrip().splitlines()
    assert height - 3 <= len(lines) < height
    assert {len(line) for line in lines} == {width}


def test_room_is_used_for_promises_and_the_first_story() -> None:
    """A tall terminal shows how each promise stands, and what broke first; a short one what matters most."""
    tall, short = drawn(MOMENT, height=40), drawn(MOMENT, height=20)
    for text in (
        "✕ Users keep their state: broken 1 times",
        "✓ Users stay logged in: 9000",
        "first: lost write: user-007",
    ):
        assert text in tall
        assert text not in short
    assert "59 of 60 users kept their state" in short
    assert tall.count("SIGKILL to") > short.count("SIGKILL to")


def test_it_tells_what_is_left() -> None:
    """The phases are known from the beginning: how many there are, which come, and when it is stopped at the latest."""
    assert "phase 4 of 7: then settle, read back, clean up; stopped at 240 s" in drawn(MOMENT)
    board = Board(began=0, slots={}, to_come=("up", "settle"))
    for name in ("up", "round", "settle", "down"):
        board = fold(board, PhaseBegan(at=NS, name=name, text=name))
    assert (board.phases, board.to_come) == (2, ())
    assert "phase 2 of 2: the last one" in drawn(msgspec.structs.replace(MOMENT, board=board))


def test_counts_have_the_names_that_the_verdict_gives_them() -> None:
    """The same count under the same name while it goes on and when it is over."""
    text = drawn(MOMENT, width=160)
    assert "1728 reads compared" in text
    assert "9 replacements, 4 kills and 1 lost zone" in text
    assert "comparisons" not in text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


LINES = (
    "BROKEN state_kept: 1 of 2 users lost state",
    "       why",
    "       likely: in memory      report  a/b.html     repeat  x",
)


def test_the_verdict_stands_out_and_stays_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """In colour on a terminal, without any where NO_COLOR is set, and as it is anywhere else."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    said: list[str] = []
    out = Terminal()
    say_closing(LINES, out, say=said.append)
    assert "\x1b[1;37;41mBROKEN\x1b[0m state_kept" in out.getvalue()
    assert said == []
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    say_closing(LINES, out, say=said.append)
    assert "41m" not in out.getvalue()
    assert "BROKEN" in out.getvalue()
    say_closing(LINES, io.StringIO(), say=said.append)
    assert said == [*LINES[:2], "       likely: in memory", "       report  a/b.html     repeat  x"]


def test_what_is_likely_has_a_line_of_its_own() -> None:
    """Not beside two paths."""
    told = [text.plain for text in closing_text(LINES)]
    assert told[2:] == ["       likely: in memory", "       report  a/b.html     repeat  x"]


def test_a_target_of_which_nobody_sees_who_serves_is_shown_without_slots() -> None:
    """On the board, and in plain lines: "0 serving" would be read as an outage."""
    watched = msgspec.structs.replace(MOMENT, board=msgspec.structs.replace(MOMENT.board, slots={}))
    assert "zone a" in drawn(MOMENT)
    assert "zone a" not in drawn(watched)
    for moment, is_told in ((MOMENT, True), (watched, False)):
        plain = io.StringIO()
        PlainView(plain).show(moment)
        assert "users kept" in plain.getvalue()
        assert (" serving (" in plain.getvalue()) is is_told


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("as it is", 8, "as it is"),
        ("as it was, then", 11, "as it was…"),
        ("one two", 5, "one…"),
        ("onlyoneword", 5, "only…"),
    ],
)
def test_a_line_is_cut_between_words(text: str, width: int, shown: str) -> None:
    """With a sign that there was more."""
    assert fitted(text, width) == shown


def test_what_a_run_says_can_not_steer_the_terminal() -> None:
    """A title is a file's, and news quote what an app answered."""
    forged, shown = "x\x1b]0;owned\x07\nHELD", "x\\u001b]0;owned\\u0007\\nHELD"
    for text in (drawn(begun(), forged), drawn(begun(), say=forged)):
        assert shown in text
        assert "\x1b]" not in text
    plain = io.StringIO()
    PlainView(plain).say(forged)
    assert plain.getvalue() == f"{shown}\n"


@pytest.mark.parametrize(
    ("checks", "logged_in", "says"),
    [
        ({}, 0, "nobody is logged in yet"),
        ({}, 4, "nothing compared yet"),
        ({STATE_KEPT: 1}, 80, "60 of 60 users kept"),
    ],
)
def test_nobody_is_said_to_have_kept_what_nothing_was_compared_with(
    checks: dict[str, int], logged_in: int, says: str
) -> None:
    """A journey that gets nobody in must not look like a good run."""
    counts = msgspec.structs.replace(COUNTS, logged_in=logged_in)
    moment = msgspec.structs.replace(MOMENT, counts=counts, checks=checks, users_hurt=0, findings=[])
    out = io.StringIO()
    PlainView(out).show(moment)
    assert says in out.getvalue()
