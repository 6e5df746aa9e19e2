"""The rows of the promises: each says all of itself, and what a run is judged by follows from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

import lab
from lab.oracle import promises
from lab.oracle.promises import (
    ANSWERS_IN_TIME,
    AVAILABLE,
    CLEAN_STOPS,
    DEVICES_AGREE,
    LOGGED_IN,
    LOSS_BOUND,
    PROMISES,
    RECOVERS,
    ROLLOUTS_END,
    SERVING_FLOOR,
    STATE_KEPT,
    TRIES,
    RunTerms,
    asked_promises,
)

BARE = RunTerms(two_devices=False)


@pytest.mark.parametrize("name", PROMISES)
def test_a_promise_says_all_of_itself(name: str) -> None:
    """Every text that people read is there, and its name is one of the module's."""
    promise = PROMISES[name]
    assert all((promise.title, promise.checks, promise.rule, promise.ask, promise.maker))
    assert getattr(promises, name.upper()) == name


@pytest.mark.parametrize(
    ("terms", "name"),
    [
        (RunTerms(two_devices=True), DEVICES_AGREE),
        (replace(BARE, rolls=True), CLEAN_STOPS),
        (replace(BARE, serving_at_least=1), SERVING_FLOOR),
        (replace(BARE, recovers_within=1.0), RECOVERS),
        (replace(BARE, available=0.9), AVAILABLE),
        (replace(BARE, p99_within=1.0), ANSWERS_IN_TIME),
        (replace(BARE, rollout_within=1.0), ROLLOUTS_END),
        (replace(BARE, bounds_loss=True), LOSS_BOUND),
    ],
)
def test_a_scenario_asks_for_a_promise(terms: RunTerms, name: str) -> None:
    """What is switched off is not asked for, so that it can't end in "nothing was checked"."""
    assert name not in asked_promises(BARE)
    assert set(asked_promises(terms)) == {*asked_promises(BARE), name}


def test_a_release_that_was_rolled_back_asks_for_no_clean_stops() -> None:
    """Whoever is sent back in a hurry may be cut off."""
    assert CLEAN_STOPS not in asked_promises(replace(BARE, rolls=True, rolled_back=True))


def test_an_own_app_is_asked_for_what_its_journey_knows() -> None:
    """Of somebody's own app nobody else can say what an answer means."""
    assert asked_promises(RunTerms(own_app=True)) == (STATE_KEPT, LOGGED_IN, TRIES)


def test_nobody_outside_asks_which_strategy_it_is() -> None:
    """What differs between strategies is a property of theirs."""
    for path in Path(lab.__file__).parent.rglob("*.py"):
        text = path.read_text()
        if path.name != "rollout.py":
            assert not re.search(r"isinstance\([^)]*(Rolling|DrainThenMove|Canary|RedBlack)\b", text), path
            assert not re.search(r"getattr\([^)]*strategy", text), path
