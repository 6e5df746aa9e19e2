"""A scenario whose faults the engine can't do is refused before anything starts, by the fault's name."""

from __future__ import annotations

import msgspec
import pytest

from lab.chaos.trial import TRIED
from lab.errors import UsageError
from lab.scenario.possible import check_faults, faults_of
from lab.scenario.spec import ClusterSpec, Scenario, StepSpec


def scenario(*steps: object) -> Scenario:
    read = msgspec.convert(list(steps), tuple[StepSpec, ...])
    return Scenario(lab=1, name="x", title="x", cluster=ClusterSpec(release="shop:v1"), steps=read)


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        ({"strike": {"do": "freeze", "to": "a1"}}, {"freeze"}),
        ({"strike": {"do": "kill"}}, set()),
        ({"strike": {"do": "cut", "to": "a1"}}, {"cut"}),
        ({"strike": {"do": "cut", "to": "a1", "from": "store"}}, {"cut from"}),
        ({"monkey": {"do": ["kill", "squeeze", "slow"]}}, {"squeeze", "slow"}),
        ({"lose_zone": {"zone": "a", "cut_off": True}}, {"cut"}),
        ({"lose_zone": {"zone": "a"}}, set()),
        ({"schedule": {"strikes": [{"slot": "a1", "at": 1, "do": "crash"}]}}, {"crash"}),
        ({"fault": {"do": "freeze the store", "at": {"action": "start"}}}, {"freeze"}),
        ({"fault": {"do": "stop the deployer", "at": {"action": "start"}}}, set()),
        ({"strike": {"do": "freeze", "to": "deployer"}}, set()),
        ({"repeat": {"for": 1, "steps": [{"together": [{"strike": {"do": "slow"}}]}]}}, {"slow"}),
    ],
)
def test_all_that_a_scenario_breaks_is_found(step: object, wanted: set[str]) -> None:
    """Wherever a step may say so."""
    assert faults_of(scenario(step)) == wanted
    assert wanted <= set(TRIED)


def test_it_is_refused_with_the_fault_and_the_engines_reason() -> None:
    """Only where it asks for that one; for a scenario that breaks nothing no engine is asked."""
    cannot = {"squeeze": "no memory controller"}
    squeezes = scenario({"strike": {"do": "squeeze", "to": "a1"}})
    with pytest.raises(UsageError, match="x: 'squeeze' is not possible on this engine: no memory controller"):
        check_faults(squeezes, lambda: cannot)
    check_faults(squeezes, dict)
    check_faults(scenario({"strike": {"do": "freeze", "to": "a1"}}), lambda: cannot)

    def nobody_asks() -> dict[str, str]:
        raise AssertionError

    check_faults(scenario({"settle": {"for": 1}}), nobody_asks)
