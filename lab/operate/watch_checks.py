"""What must be so before somebody else's deployment is watched, and who of it may be struck."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.backends.compose_witness import OptedContainers, check_compose
from lab.backends.swarm_witness import check_swarm
from lab.backends.target import Target
from lab.scenario.spec import Scenario, walk_steps
from lab.scenario.target_spec import TargetSpec


def check_watched(spec: TargetSpec) -> None:
    """Raise UsageError or SetupError for doors that don't answer or must not be used, and for witnesses who are not
    there; nothing was sent by then but one question each."""
    Target(spec).check()
    if spec.evidence is not None and spec.evidence.compose is not None:
        check_compose(spec.evidence.compose)
    if spec.evidence is not None and spec.evidence.swarm is not None:
        check_swarm(spec.evidence.swarm)


def strikes_target(scenario: Scenario) -> bool:
    """Whether it strikes what is not the lab's."""
    return scenario.target is not None and any(step.strike is not None for _, step in walk_steps(scenario.steps))


@contextmanager
def opted_of(scenario: Scenario) -> Iterator[OptedContainers | None]:
    """Those whom the owner of its target offers; None where it strikes nobody. Raises SetupError without an engine."""
    evidence = None if scenario.target is None else scenario.target.evidence
    if evidence is None or evidence.compose is None or not strikes_target(scenario):
        yield None
        return
    opted = OptedContainers(evidence.compose)
    try:
        yield opted
    finally:
        opted.close()
