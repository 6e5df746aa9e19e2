"""What can't be asked of a single engine."""

from __future__ import annotations

from lab.errors import UsageError
from lab.model import Role
from lab.scenario.spec import Scenario, walk_steps


def check_has_no_nodes(scenario: Scenario) -> None:
    """Raise UsageError where a machine is to be struck: here there is but one, which the lab runs on."""
    for at, step in walk_steps(scenario.steps):
        if step.strike is not None and step.strike.role is Role.NODE:
            raise UsageError("one engine has no nodes to strike", at=f"{at}.strike.to", hint="--on swarm")
