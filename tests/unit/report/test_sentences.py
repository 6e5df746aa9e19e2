"""Events as sentences: as a native engineer would say them."""

from __future__ import annotations

import msgspec
import pytest

from lab.record import (
    AnyEvent,
    CommandBegan,
    CommandEnded,
    CommandSaid,
    Observed,
    StrikeSource,
    WouldStrike,
)
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


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (CommandBegan(at=1, command=1, argv=("./deploy.sh", "v2")), "command 1 begins: ./deploy.sh v2"),
        (CommandSaid(at=1, command=1, line="Recreating web-1"), "command 1: Recreating web-1"),
        (CommandEnded(at=1, command=1, code=0, seconds=2.5), "command 1 succeeded after 2.5 s"),
        (
            CommandEnded(at=1, command=1, code=7, seconds=2, dropped=3),
            "command 1 ended with 7 after 2.0 s; 3 more lines",
        ),
        (CommandEnded(at=1, command=1, code=None, seconds=2, why="halted"), "command 1 was ended (halted) after 2.0 s"),
        (
            Observed(at=1, who="web-2", what="ready", release="v2", source="the engine"),
            "observed by the engine: web-2 (v2) is ready",
        ),
        (Observed(at=1, who="", what="ready", release="v2", source="GET /v"), "observed by GET /v: (v2) is ready"),
    ],
)
def test_what_others_do_is_told_as_theirs(event: AnyEvent, said: str) -> None:
    """A command's words are its own, and what was observed says by whom."""
    assert tell_event(event).startswith(said)
