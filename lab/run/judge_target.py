"""What a run says of a deployment that is not the lab's: what is known of it, and what is not."""

from __future__ import annotations

from collections.abc import Iterator

from lab.oracle.crossing import Crossing
from lab.scenario.spec import Scenario, walk_steps
from lab.scenario.target_spec import TargetSpec

REACHED = 0.9
"""The share of the rate from which it counts as reached."""


def nothing_new(scenario: Scenario, crossing: Crossing) -> Iterator[str]:
    """Why nothing is known to have been deployed, where the run was there for that."""
    if scenario.target is None:
        return
    strikes = any(step.strike is not None for _, step in walk_steps(scenario.steps))
    if crossing.nobody_new and not strikes:
        yield "every answer came from whom had answered before: nothing new was deployed, as far as users can see"
    elif scenario.enough.users_served_by_new and crossing.release is None:
        yield f"whom a new release served is not known: {crossing.why_not}"


def unseen(target: TargetSpec, crossing: Crossing, sent: float | None) -> Iterator[str]:
    """What is not known of somebody else's deployment. `sent` are requests a second of users while they acted."""
    if target.evidence is None:
        yield "what goes on inside the deployment: who serves, who is stopped and how, and what keeps its state"
    else:
        yield f"how replicas are stopped, and what keeps their state: {target.evidence.text} tells who comes and goes"
    yield "what would become of users if replicas or stores died: only what its owner offers may be struck"
    by_release = target.release is not None and target.release.of_answers is not None
    if target.replica is None and not by_release:
        yield "who answered: no header says it (target.replica), so nothing is known to have been read back elsewhere"
    elif target.replica is None:
        yield "which replica answered (target.replica): only what another release read back is compared"
    elif not by_release:
        yield "which release answered (target.release), and so whom a new one has served"
    if by_release and crossing.release is None and crossing.why_not:
        yield f"whom a new release served: {crossing.why_not}"
    if target.rate is not None and sent is not None and sent < REACHED * target.rate:
        yield (
            f"{target.rate:g} requests a second: users sent {sent:.1f} (more users or less users.think would send more)"
        )
