"""A cluster that is mended by hand: what is wrong with it, what is drawn, and when it counts as mended."""

from __future__ import annotations

import msgspec
import pytest

from lab.cli import run_command_line
from lab.clock import NS
from lab.errors import ExitCode
from lab.lessons.repair import FAULTS, LEAST, Condition, LatelyAsked, find_repair, what_is_wrong
from lab.model import Kind, Operation, Outcome, Try

WELL = Condition(serving=3, slots=3, asked=LEAST, failed=0, rejected=0)


def test_a_cluster_is_well_where_nothing_is_seen_of_a_fault() -> None:
    """And enough was asked of it to say so."""
    assert what_is_wrong(WELL) == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"serving": 2}, "2 of 3 slots serve"),
        ({"failed": 4}, "4 of 20 requests"),
        ({"rejected": 1}, "1 were told to log in again"),
        ({"under_way": "to v2, in phase move"}, "an upgrade is under way"),
        ({"is_open": True}, "not all is as it was"),
        ({"asked": 3}, "only 3 requests"),
    ],
)
def test_whatever_a_fault_leaves_keeps_it_from_being_well(change: dict[str, object], says: str) -> None:
    """Each by what can be seen, never by its cause."""
    [said] = what_is_wrong(msgspec.structs.replace(WELL, **change))
    assert says in said


def test_a_seed_draws_the_same_and_seeds_draw_them_all() -> None:
    """At least four, each with what mends it."""
    assert find_repair(None, 3) is find_repair(None, 3)
    assert {find_repair(None, seed).name for seed in range(100)} == {one.name for one in FAULTS}
    assert len(FAULTS) >= 4
    assert all(one.mends and all(command.startswith("lab ") for command in one.mends) for one in FAULTS)


def test_a_trainer_reads_what_can_be_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """And a name of none starts nothing."""
    assert run_command_line(["lesson", "repair", "--list"]) == ExitCode.HELD
    assert "half-way" in capsys.readouterr().out
    assert run_command_line(["lesson", "repair", "gremlins"]) == ExitCode.USAGE
    assert "unknown fault 'gremlins'" in capsys.readouterr().err


def test_a_session_that_its_user_ended_is_rejected_rightly() -> None:
    """Users show such on purpose; any other that is refused is a fault's doing, and what is old counts no more."""
    lately = LatelyAsked()
    lately.note(asked(1, "200", Kind.LOGOUT, "s1"))
    lately.note(asked(2, "401", Kind.ACCOUNT, "s1"))
    assert lately.counts(3 * NS) == (2, 0, 0)
    lately.note(asked(3, "401", Kind.CART, "s2"))
    lately.note(asked(3, "503", Kind.CART, "s2"))
    assert lately.counts(4 * NS) == (4, 1, 1)
    assert lately.counts(60 * NS) == (0, 0, 0)


def asked(at: int, result: str, kind: Kind, session: str) -> Operation:
    outcome = Outcome.OK if result == "200" else Outcome.REFUSED
    tries = (Try(at * NS, at * NS, result),)
    return Operation(at, "user-001", "user-001.1", kind, at * NS, at * NS, outcome, tries, session=session)
