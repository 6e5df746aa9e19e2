"""Changes that undid each other: told by what was under way at the same time."""

from __future__ import annotations

from msgspec.structs import replace

from lab.clock import NS
from lab.model import Finding, Kind, Operation
from lab.oracle.overwritten import overwritten
from lab.oracle.promises import STATE_KEPT, Anomaly
from tests.unit.oracle.making import op

MS = NS // 1000


def history(*, meet: bool) -> list[Operation]:
    """Ten changes alone, then three pairs of two devices, at the same time or one after the other."""
    alone = [op(Kind.ADD, number * NS, number * NS + 5 * MS, f"u.1.{number}") for number in range(10)]
    pairs = []
    for number in range(20, 23):
        at, gap = number * NS, 2 * MS if meet else 50 * MS
        pairs.append(op(Kind.ADD, at, at + 5 * MS, f"u.1.{number}"))
        pairs.append(op(Kind.ADD, at + gap, at + gap + 5 * MS, f"u.2.{number}"))
    made = [*alone, *pairs]
    return [replace(one, id=number) for number, one in enumerate(made)]


def lost(those: list[Operation]) -> list[Finding]:
    return [
        Finding(promise=STATE_KEPT, anomaly=str(Anomaly.LOST_WRITE), user=one.user, at=one.end, why="w", witness=(one,))
        for one in those
    ]


def test_what_was_under_way_beside_another_change_was_overwritten() -> None:
    """All of three."""
    seen = history(meet=True)
    assert "undo each other" in overwritten(lost(seen[10::2]), seen)


def test_most_of_it_is_enough_where_that_is_no_accident() -> None:
    """A line may be lost with an older copy, whose writer had ended; and of few, one that does not fit is too much."""
    seen = history(meet=True)
    pairs = [replace(one, id=one.id + 100 * turn, begin=one.begin + turn * 60 * NS, end=one.end + turn * 60 * NS)
             for turn in range(3) for one in seen]  # fmt: skip
    beside = [one for one in pairs if one.id % 100 >= 10][::2]
    assert "undo each other" in overwritten(lost([*beside, pairs[0], pairs[20]]), pairs)
    assert not overwritten(lost([*beside[:3], pairs[0]]), pairs)


def test_what_was_alone_was_not() -> None:
    """One after the other; or lost though nothing was beside it; or where everything always is."""
    seen = history(meet=False)
    assert not overwritten(lost(seen[10::2]), seen)
    seen = history(meet=True)
    assert not overwritten(lost(seen[:4]), seen)
    assert not overwritten(lost(seen[10:14:2]), seen), "two of them may be chance"
    assert not overwritten(lost(seen[10::2]), seen[10:]), "as usual as anything else"
