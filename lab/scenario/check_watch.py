"""What a scenario may ask of a deployment that somebody else performs: the lab looks on, and acts on nothing there."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lab.scenario.bounds import Refuse
from lab.scenario.spec import NO_CLUSTER, Scenario, name_of, walk_steps
from lab.scenario.strike_spec import ANY, StrikeSpec
from lab.scenario.target_spec import TargetSpec, check_target

WATCHED_STEPS = frozenset({"settle", "command", "together", "repeat", "strike"})
"""Steps that ask nothing of the deployment itself, but for strikes on what its owner offers."""

REFUSED: Mapping[str, str] = {
    "deployers": "the target is deployed by its owner",
    "script": "the target is deployed by its owner",
    "autoscale": "the target is scaled by its owner",
    "blast_radius": "the lab strikes nothing of a target",
    "on_stop": "the lab has nothing to undo at a target",
    "stop_when.serving_below": "the lab can't see how many replicas of a target serve",
    "promises.serving_at_least": "the lab can't see how many replicas of a target serve",
    "promises.recovers_within": "the lab strikes nothing of a target",
    "promises.loses_at_most": "the lab strikes no store of a target",
    "promises.rollout_within": "the lab can't see the rollouts of a target; a command has `within`",
    "promises.tries_through_kills": "the lab kills nothing of a target",
}
"""Keys that mean nothing there, and why. Each may stand only as it is by default."""


def check_watch(scenario: Scenario, target: TargetSpec, refuse: Refuse) -> None:
    """Refuse what can't be done, seen or promised of a target."""
    if scenario.cluster != NO_CLUSTER:
        refuse("target", "there is a cluster already", "either cluster or target")
    check_target(target, lambda key, *told: refuse(f"target.{key}", *told))
    for key, why in REFUSED.items():
        if _at(scenario, key) != _default_at(key):
            refuse(key, why, f"leave {key.rpartition('.')[2]} out")
    steps = walk_steps(scenario.steps)
    for key, step in steps:
        given = [name for name in step.__struct_fields__ if getattr(step, name) is not None]
        if given and name_of(step) not in WATCHED_STEPS:
            what = f"{name_of(step)} is not something that the lab does to a target"
            refuse(f"{key}.{name_of(step)}", what, f"one of {', '.join(sorted(WATCHED_STEPS))}")
        if step.strike is not None:
            _check_strike(f"{key}.strike", step.strike, target, refuse)
    if scenario.enough.strikes_that_hit and not any(step.strike is not None for _, step in steps):
        refuse("enough.strikes_that_hit", "no step strikes anything", "leave strikes_that_hit out")
    if scenario.enough.users_served_by_new:
        key = "enough.users_served_by_new"
        if target.release is None or target.release.of_answers is None:
            refuse(key, "nobody knows which release answers", "target: {release: {header: X-Release}}")
        if not target.has_second_sign:
            what = "nothing but the answers themselves tells that there is a new release"
            refuse(key, what, "target: {evidence: {compose: shop}}, or a path in release.get")
        if target.evidence is None and not any(step.command is not None for _, step in steps):
            refuse(key, "no step brings a new release", '- command: {run: ["./deploy.sh"]}')


def _check_strike(key: str, spec: StrikeSpec, target: TargetSpec, refuse: Refuse) -> None:
    """Only a kill of whoever its owner offers by a label, where the lab can see that."""
    if target.evidence is None or target.evidence.compose is None:
        what = "nothing of a target is struck unless its owner offers it by a label"
        refuse(key, what, "target: {evidence: {compose: shop}}, and the label lab.may-be-struck=true")
    if spec.do != "kill" or spec.to != ANY or spec.off:
        refuse(key, "of a target only any of those that are offered is killed", "strike: {do: kill}")


def _at(value: object, path: str) -> object:
    for key in path.split("."):
        value = getattr(value, key)
    return value


def _default_at(path: str) -> object:
    key, _, rest = path.partition(".")
    default = next(one.default for one in msgspec.structs.fields(Scenario) if one.name == key)
    return _at(default, rest) if rest else default
