"""One try at a lesson: build the participant's images, run the scenario, judge it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec

from lab.backends.choose import backend_on
from lab.clock import NS, SYSTEM_CLOCK
from lab.console.page import PageSpec
from lab.deploy.script import load_script
from lab.lessons.grade import Grade, fewest_slots, grade
from lab.lessons.lesson import OWN, Lesson
from lab.lessons.workplace import layer_files, own_releases, read_spec
from lab.machine.layers import Layer, build_layer, drop_layers
from lab.machine.setup import Toolbox
from lab.model import Value
from lab.operate.runs import ChosenRun, run_one
from lab.record import ReadRecord
from lab.run.judge import JudgedRun
from lab.scenario.spec import Scenario, StepSpec, images_of

Say = Callable[[str], None]


class Prepared(Value):
    """A lesson's run that can begin: the participant's images are built, and the scenario names them."""

    scenario: Scenario
    seed: int


class Attempt(Value):
    """A run that is over."""

    record: Path
    judged: JudgedRun
    grade: Grade
    seconds: float


def needs_of(lesson: Lesson, scenario: Scenario) -> list[str]:
    """The lab's own images that this lesson's run rests on."""
    lab_built = [image for image in images_of(scenario) if not image.startswith(OWN)]
    return [*lab_built, *(lesson.told.over[release] for release in own_releases(scenario))]


def owner_of(folder: Path) -> str:
    """Whose images are built from a folder: two people's folders have two paths."""
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]


def prepare(lesson: Lesson, folder: Path, toolbox: Toolbox, *, seed: int | None, say: Say, owner: str = "") -> Prepared:
    """Build what the participant's folder says. Raises UsageError for a file that can't be used; nothing is run."""
    scenario = read_spec(lesson, folder)
    if scenario.script is not None:
        load_script(scenario.script)
    owner = owner or owner_of(folder)
    built = {}
    for release in own_releases(scenario):
        files = layer_files(lesson, folder, release)
        layer = Layer(on=toolbox.images.tag(lesson.told.over[release]), release=release, files=files, owner=owner)
        say(f"building {release} from {folder}")
        built[f"{OWN}{release}"] = build_layer(toolbox.engine, layer)
    drop_layers(toolbox.engine, owner, but=built.values())
    return Prepared(
        scenario=with_images(scenario, built),
        seed=secrets.randbelow(10**6) if seed is None else seed,
    )


def with_images(scenario: Scenario, built: dict[str, str]) -> Scenario:
    """The scenario with the participant's images under the names that they were built as."""

    def in_step(step: StepSpec) -> StepSpec:
        roll = step.roll and msgspec.structs.replace(step.roll, to=built.get(step.roll.to, step.roll.to))
        together = step.together and tuple(in_step(one) for one in step.together)
        return msgspec.structs.replace(step, roll=roll, together=together)

    release = scenario.cluster.release
    return msgspec.structs.replace(
        scenario,
        cluster=msgspec.structs.replace(scenario.cluster, release=built.get(release, release)),
        steps=tuple(in_step(step) for step in scenario.steps),
    )


def attempt(
    lesson: Lesson,
    prepared: Prepared,
    toolbox: Toolbox,
    *,
    say: Say,
    port: int | None = None,
    page: PageSpec | None = None,
    repeat: str = "",
    is_shown: bool = True,
    holds_back_cause: bool = False,
) -> Attempt:
    """Run it on real containers and grade it by its record. The cluster is gone afterwards, however it ended."""
    began = SYSTEM_CLOCK.now()
    chosen = ChosenRun(scenario=prepared.scenario, seed=prepared.seed, repeat=repeat, holds_back_cause=holds_back_cause)
    judged, folder = run_one(chosen, backend_on(toolbox), say=say, port=port, page=page, is_shown=is_shown)
    fewest = fewest_slots(ReadRecord(folder).history()) if lesson.told.slots_each else 0
    return Attempt(
        record=folder,
        judged=judged,
        grade=grade(lesson.told, judged.judgement, fewest),
        seconds=(SYSTEM_CLOCK.now() - began) / NS,
    )
