"""Whether what a scenario breaks can be broken where it is to run: asked before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.chaos.trial import CUT_FROM, TRIED
from lab.errors import UsageError
from lab.model import Role
from lab.scenario.pin_spec import OF_DEPLOYERS
from lab.scenario.spec import Scenario, walk_steps


def faults_of(scenario: Scenario) -> frozenset[str]:
    """The faults that a scenario asks for and that an engine may be unable to do, by the names of TRIED."""
    found: set[str] = set()
    for _, step in walk_steps(scenario.steps):
        if step.strike is not None and step.strike.role is not Role.DEPLOYER:  # a process, not a container
            found.add(CUT_FROM if step.strike.off else step.strike.do)
        if step.monkey is not None:
            found |= set(step.monkey.do)
        if step.schedule is not None:
            found |= {strike.do for strike in step.schedule.strikes}
        if step.fault is not None and step.fault.do not in OF_DEPLOYERS:
            found.add(step.fault.do.does)
        if step.lose_zone is not None and step.lose_zone.cut_off:
            found.add("cut")
    return frozenset(found & set(TRIED))


def check_faults(scenario: Scenario, cannot: Callable[[], Mapping[str, str]]) -> None:
    """Raise UsageError for a scenario with a fault that can't be done here; `cannot` is asked only if it has any."""
    wanted = faults_of(scenario)
    impossible = cannot() if wanted else {}
    for name in TRIED:
        if name in wanted and name in impossible:
            raise UsageError(
                f"{name!r} is not possible on this engine: {impossible[name]}",
                at=scenario.name,
                hint="lab doctor   # what it can do; docs/how-to/engines.md",
            )
