"""What a person sees on a terminal is folded from the run's events alone."""

from __future__ import annotations

from lab.clock import NS
from lab.record import AnyEvent, Step, Strike
from lab.report.board import Board, SlotView, fold


def step(action: str, replica: str, release: str = "v1") -> Step:
    return Step(at=NS, action=action, slot="a1", replica=replica, release=release, why="upgrade")


def kill(replica: str) -> Strike:
    return Strike(
        at=NS,
        strike=1,
        fault="SIGKILL",
        victim=replica,
        container=replica,
        slot="a1",
        zone="a",
        release="v1",
        serving=2,
    )


def after(*events: AnyEvent) -> SlotView:
    board = Board(began=0, slots={"a1": SlotView(slot="a1", zone="a")})
    for event in events:
        board = fold(board, event)
    return board.slots["a1"]


def test_a_kill_empties_the_slot_of_its_victim() -> None:
    """Whoever served there does not any more."""
    assert after(step("start", "a1-1"), step("enter", "a1-1"), kill("a1-1")).state == "killed"


def test_a_kill_of_one_that_had_given_up_its_slot_changes_nothing_there() -> None:
    """The new one serves, whatever becomes of the old one."""
    seen = after(step("start", "a1-1"), step("enter", "a1-1"), step("enter", "a1-7", "v2"), kill("a1-1"))
    assert (seen.state, seen.replica, seen.release) == ("serving", "a1-7", "v2")
