"""Events as sentences: as a native engineer would say them."""

from __future__ import annotations

import msgspec
import pytest

from lab.record import StrikeSource, WouldStrike
from lab.report.sentences import tell_event
from tests.unit.report.making import strike


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("SIGKILL", "SIGKILL to b1-2 (v1) while it served; 2 were serving"),
        ("freeze", "freeze b1-2 (v1) while it served; 2 were serving"),
        ("cut from store", "cut b1-2 (v1) from store while it served; 2 were serving"),
    ],
)
def test_a_strike_is_told_with_its_own_verb(fault: str, said: str) -> None:
    """A signal goes to its victim; everything else is done with it."""
    assert tell_event(strike(1, "b1-2", fault=fault)) == said


def test_a_pinned_strike_does_not_claim_that_its_victim_served() -> None:
    """Its victim need not have."""
    pinned = msgspec.structs.replace(strike(1, "deployer-1", fault="stop the deployer"), source=StrikeSource.PIN)
    assert tell_event(pinned) == "stop the deployer: deployer-1 (v1); 2 were serving"


def test_what_a_leashed_monkey_would_have_done_is_told_the_same_way() -> None:
    """With the same verb."""
    assert tell_event(WouldStrike(at=1, fault="freeze", victim="b1-2")) == "leashed: freeze b1-2"
