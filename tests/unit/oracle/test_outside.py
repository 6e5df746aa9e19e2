"""What a command of somebody's own, and what was seen of their replicas, have to do with a finding."""

from __future__ import annotations

from lab.clock import NS
from lab.oracle.outside import outside_fate
from lab.record import AnyEvent, CommandBegan, CommandEnded, CommandSaid, Observed

EVENTS: list[AnyEvent] = [
    CommandBegan(at=10 * NS, command=1, argv=("./deploy.sh", "v2")),
    CommandSaid(at=11 * NS, command=1, line="Recreating web-1"),
    Observed(at=12 * NS, who="web-1", what="leaving", release="v1", source="the engine"),
    CommandEnded(at=20 * NS, command=1, code=0, seconds=10.0),
]


def test_the_last_line_before_is_named() -> None:
    """As long as it was just before; else the command that was running."""
    assert './deploy.sh v2 had printed "Recreating web-1"' in outside_fate(None, 12 * NS, EVENTS).just_before
    late = outside_fate(None, 18 * NS, EVENTS)
    assert late.just_before == ""
    assert late.meanwhile.startswith("the command ./deploy.sh v2 had begun")


def test_an_end_is_named_for_a_while() -> None:
    """And nothing of a command that is long over."""
    assert "had ended" in outside_fate(None, 21 * NS, EVENTS).just_before
    over = outside_fate(None, 40 * NS, EVENTS)
    assert (over.just_before, over.meanwhile) == ("", "")


def test_what_was_seen_of_the_replica_itself_is_told_of_no_other() -> None:
    """By whom, too."""
    assert outside_fate("web-1", 13 * NS, EVENTS).own.startswith("web-1 was seen being told to leave")
    assert outside_fate("web-1", 13 * NS, EVENTS).own.endswith("(the engine)")
    assert outside_fate("web-2", 13 * NS, EVENTS).own == ""
    assert outside_fate("web-1", 9 * NS, EVENTS).own == ""
