"""What a person sees on a terminal: all that there is, in the words that were given."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lab.console.terminal import LiveView, PlainView
from lab.model import Slot
from lab.report.board import Board, SlotView
from lab.run.view import Moment


def drawn(title: str, slots: tuple[Slot, ...] = (), *, say: str = "") -> str:
    """What a terminal without colours gets."""
    out = io.StringIO()
    views = {slot.name: SlotView(slot=slot.name, zone=slot.zone) for slot in slots}
    with LiveView(title, Console(file=out, width=120, force_terminal=True, color_system=None)) as view:
        view.say(say)
        view.show(Moment(now=0, board=Board(began=0, slots=views), counts=None, users_hurt=0, checks=0))
    return out.getvalue()


def test_every_slot_is_drawn_where_zones_are_uneven() -> None:
    """The shortest zone does not hide what others have more."""
    slots = tuple(Slot(name=name, zone=name[0]) for name in ("a1", "b1", "c1", "a2", "c2", "c3"))
    text = drawn("t", slots)
    assert [slot.name for slot in slots if f"{slot.name} ·" not in text] == []


@pytest.mark.parametrize("words", ["Orders [v2] survive", "Roll to [/v2]", "Users at :warning: levels"])
def test_words_are_nothing_but_words(words: str) -> None:
    """A scenario's title, and what is said: neither is markup."""
    assert words in drawn(words)
    assert words in drawn("t", say=words)


def test_what_a_run_says_can_not_steer_the_terminal() -> None:
    """A title is a file's, and news quote what an app answered."""
    forged, shown = "x\x1b]0;owned\x07\nHELD", "x\\u001b]0;owned\\u0007\\nHELD"
    for text in (drawn(forged), drawn("t", say=forged)):
        assert shown in text
        assert "\x1b]" not in text
    plain = io.StringIO()
    PlainView(plain).say(forged)
    assert plain.getvalue() == f"{shown}\n"
