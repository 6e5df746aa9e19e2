"""Whether a scenario's upgrades and reverses make sense, one after another: pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lab.model import is_image_name, release_name
from lab.scenario.bounds import Refuse
from lab.scenario.spec import Roll, Scenario, StepSpec, images_of, inner_steps, walk_steps


def check_rolls(scenario: Scenario, refuse: Refuse) -> None:
    """Each goes to an image that the cluster does not surely have by then, and every release has a name of its own."""
    for key, step in walk_steps(scenario.steps):
        if step.roll is None:
            continue
        if not is_image_name(step.roll.to):
            refuse(f"{key}.roll.to", f"{step.roll.to!r} is not a valid image name", 'to: "shop:v2"')
        for name, value in step.roll.env.items():
            if not _VARIABLE.fullmatch(name) or "\0" in value:
                refuse(f"{key}.roll.env", f"{name!r} is not a valid variable", "env: {SECRET_KEY: another}")
    named = images_of(scenario)
    if len({release_name(image) for image in named}) < len(named):
        what = f"two releases have the same tag: {', '.join(named)}"
        refuse("steps", what, "give each image its own tag")
    _check_no_move(scenario.steps, "steps", release_name(scenario.cluster.release), refuse)


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def _check_no_move(steps: Sequence[StepSpec], at: str, serves: str | None, refuse: Refuse) -> str | None:
    """Refuse a roll to the release that surely serves by then; the one after these steps, None where that depends."""
    for number, step in enumerate(steps):
        key = f"{at}[{number}]"
        if step.roll is not None:
            if step.roll.name == serves:
                what = f"{step.roll.to} serves already, so there is nothing to upgrade"
                refuse(f"{key}.roll.to", what, "another image, as another tag")
            serves = None if _may_go_back(step.roll) else step.roll.name
        elif step.repeat is not None:
            for _ in range(2):  # what the last round leaves is what the next one finds
                serves = _check_no_move(step.repeat.steps, f"{key}.repeat.steps", serves, refuse)
        elif step.together is not None:
            has_reverse = any(one.reverse is not None for _, one in walk_steps(step.together))
            serves = _check_no_move(inner_steps(step), f"{key}.together", serves, refuse)
            serves = None if has_reverse else serves
    return serves


def _may_go_back(roll: Roll) -> bool:
    """Whether this upgrade may well end with the old release, by the scenario's own words."""
    return roll.judge is not None or bool(roll.approve) or roll.before is not None


def check_reverses(scenario: Scenario, refuse: Refuse) -> None:
    """As above: a phase that never comes would be waited for. Only what goes on beside a rollout finds it under way."""
    walked = walk_steps(scenario.steps)
    besides = [(key, [one.roll for _, one in walk_steps(step.together)]) for key, step in walked if step.together]
    for key, step in walked:
        if step.reverse is None:
            continue
        rolls = [one for at, inside in besides if key.startswith(f"{at}.") for one in inside if one is not None]
        if not rolls:
            refuse(f"{key}.reverse", "there is no rollout to be reversed", "beside a `roll`, in `together`")
        phase = step.reverse.at
        if (phase == "prepare" and all(one.wanted_strategy.first_phase != phase for one in rolls)) or (
            phase == "keep" and not any(one.wanted_strategy.keeps_old for one in rolls)
        ):
            what = f"only a red-black rollout that keeps its old group is ever at {phase}"
            refuse(f"{key}.reverse.at", what, "reverse: {at: move}, or strategy: red-black")
