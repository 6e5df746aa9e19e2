"""What the devices of an account show in the end is compared, and only what could have differed is counted."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from lab.model import Kind, Operation, Outcome
from lab.oracle.breach import Breach
from lab.oracle.counts import CheckCounts
from lab.oracle.devices import Devices
from tests.unit.oracle.making import op


def compared(operations: Iterable[Operation]) -> tuple[Breach | None, int]:
    """What is found, and how many reads were compared."""
    counts = CheckCounts()
    devices = Devices(counts)
    for operation in operations:
        devices.note(operation)
    return devices.judge(), counts.devices_compared


def reads(kind: Kind, *answers: object) -> list[Operation]:
    """One of each device, after everything else."""
    return [op(kind, 1000 + n, 1001 + n, answer=answer, device=f"u.{n}") for n, answer in enumerate(answers)]


@pytest.mark.parametrize("kind", [Kind.CHECKOUT, Kind.REMOVE])
def test_what_a_write_without_an_answer_may_have_changed_is_not_counted(kind: Kind) -> None:
    """No difference could be a finding, so that agreeing is worth nothing."""
    told = op(kind, 1, 2, "u.1.1", answer={}, argument="u.1.0")
    silent = op(kind, 1, 2, "u.1.1", argument="u.1.0", outcome=Outcome.UNKNOWN)
    assert compared([told, *reads(Kind.CART, {}, {})]) == (None, 2)
    assert compared([silent, *reads(Kind.CART, {}, {})]) == (None, 0)
    assert compared([silent, *reads(Kind.CART, {}, {"u.1.0": 1})]) == (None, 0)


def test_reads_that_show_every_write_without_an_answer_are_compared() -> None:
    """Whichever device it was that had not seen it."""
    silent = op(Kind.ADD, 1, 2, "u.1.1", argument=1, outcome=Outcome.UNKNOWN)
    same, other = {"u.1.1": 1}, {"u.1.1": 1, "u.1.0": 1}
    assert compared([silent, *reads(Kind.CART, same, same)]) == (None, 2)
    assert compared([silent, *reads(Kind.CART, {}, same, same)]) == (None, 2)
    found, count = compared([silent, *reads(Kind.CART, {}, same, other)])
    assert found is not None
    assert count == 0
