"""Whether other replicas show what one of them took of an app of somebody's own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from lab.clock import NS
from lab.model import Finding, Kind, Operation
from lab.oracle.own_app_blame import own_app_cause
from lab.oracle.promises import STATE_KEPT, Anomaly
from tests.unit.oracle.making import op

LOST = Finding(promise=STATE_KEPT, anomaly=str(Anomaly.LOST_WRITE), user="u", at=1, why="")
REPLICAS = ("a1-1", "b1-1", "c1-1")


def done(shows: Sequence[bool]) -> list[Operation]:
    """Each replica takes one note, and each is asked for all afterwards. Whether it shows its own, and those of
    others."""
    own, others = shows
    told: list[Operation] = []
    notes: list[str] = []
    for turn in range(6):
        taker = REPLICAS[turn % 3]
        told.append(op(Kind.ACT, turn * 10 * NS, turn * 10 * NS + 1, replica=taker, release="v1"))
        notes.append(f"{taker}/{turn}")
        for number, reader in enumerate((taker, *REPLICAS)):
            seen = [one for one in notes if (own if one.startswith(reader) else others)]
            read = op(Kind.STATE, (turn * 10 + 1 + number) * NS, (turn * 10 + 1 + number) * NS, answer=seen)
            read = replace(read, tries=(replace(read.final, replica=reader, release="v1"),), is_conclusion=True)
            told.append(replace(read, allowed=(list(notes),)))
    return told


@pytest.mark.parametrize(("own", "others", "fits"), [(True, False, True), (True, True, False), (False, False, False)])
def test_what_only_its_taker_shows_is_kept_there(own: bool, others: bool, *, fits: bool) -> None:
    """What nobody shows is lost, and what others show, too, is nowhere by itself."""
    cause = own_app_cause([LOST], [], done((own, others)))
    assert cause.startswith("what a user did is shown by the replica alone that took it") is fits
