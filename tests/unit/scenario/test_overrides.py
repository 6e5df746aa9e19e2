"""What a command line changes of a scenario, and the plan that is told before anything is done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import ExitCode, UsageError
from lab.operate.runs import BADNESS, worst_of
from lab.scenario.overrides import Overrides, parse_change, read_changed
from lab.scenario.plan import blast_radius, plan_lines
from lab.scenario.read import LIBRARY, read_scenario
from lab.scenario.spec import Scenario, walk_steps

DEMO = LIBRARY / "demo.yaml"
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


def lab(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", *argv],
        env={**os.environ, **NO_ENGINE, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_key_is_set_by_its_path() -> None:
    """At any depth, in lists too, with a value as YAML reads it; the last word holds."""
    changes = [
        "users.tries=2",
        "steps[1].together[0].roll.batch=3",
        "promises={serving_at_least: 4}",
        "users.tries=1",
    ]
    scenario = read_changed(DEMO, Overrides(changes=tuple(parse_change(one) for one in changes)))
    assert scenario.users.tries == 1
    inside = scenario.steps[1].together
    assert inside is not None
    assert inside[0].roll is not None
    assert inside[0].roll.batch == 3
    assert scenario.promises.serving_at_least == 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("users.cuont=2", "did you mean 'count'"),
        ("users.count=many", "--set users.count"),
        ("a=1", "compare with"),  # `ca` is a key, but of another place
        ("cluster.largest_body=8", "put it in quotes"),
        ("users.http={act: [{post: /a, keep: {x: {hedder: a}}}]}", "did you mean 'header'"),
        ("steps[9].settle.for=2", "there is no [9] in a list of 3"),
        ("title.more=2", "would stand inside"),
        ("steps[1].together[0].roll.batch=two", "--set steps[1].together[0].roll.batch"),
        ("users.count", "is not KEY.PATH=VALUE"),
        ("users.count={", "not YAML"),
        ("title=2026-02-30", "in quotes"),
        ("title=" + "[" * 5000, "too deep"),
    ],
)
def test_what_can_not_be_set_is_refused_by_its_key(text: str, told: str) -> None:
    """As in a file: nothing is ever guessed."""
    with pytest.raises(UsageError) as refused:
        read_changed(DEMO, Overrides(changes=(parse_change(text),)))
    assert told in str(refused.value)
    assert refused.value.exit_code is ExitCode.USAGE


def test_what_is_enough_follows_the_number_of_users_and_their_pace() -> None:
    """A third of the users at half the pace do a sixth of it; a green run means as much as before."""
    before, scenario = read_scenario(DEMO), read_changed(DEMO, Overrides(users=20, think=0.7))
    assert (scenario.users.count, scenario.users.doubled, scenario.users.think) == (20, 7, 0.7)
    assert scenario.enough.operations == before.enough.operations // 6
    assert scenario.enough.checks == before.enough.checks // 6
    assert scenario.enough.users_served_by_new == 20
    assert scenario.enough.strikes_that_hit == before.enough.strikes_that_hit


@pytest.mark.parametrize(
    "overrides",
    [
        Overrides(users=0),
        Overrides(think=0.0),
        Overrides(think=float("nan")),
        Overrides(duration=5.0),
        Overrides(until=0.0),
        Overrides(until=1.0),
        Overrides(until=float("nan")),
    ],
)
def test_overrides_that_make_no_sense_are_refused(overrides: Overrides) -> None:
    """Nobody, endlessly fast, or a duration where nothing is repeated."""
    with pytest.raises(UsageError):
        read_changed(DEMO, overrides)


def test_a_soak_goes_on_as_long_as_wanted() -> None:
    """The time limit moves with it."""
    before, scenario = (
        read_scenario(LIBRARY / "soak.yaml"),
        read_changed(LIBRARY / "soak.yaml", Overrides(duration=7200)),
    )
    repeat = next(step.repeat for step in scenario.steps if step.repeat is not None)
    assert repeat.seconds == 7200
    assert scenario.time_limit == before.time_limit + 7200 - 600


def test_a_run_goes_on_until_so_few_failures_are_shown() -> None:
    """1e-4 takes 30 000 actions: the rounds or the last settling go on, fewer are not enough, and there is time."""
    soak = read_changed(LIBRARY / "soak.yaml", Overrides(until=1e-4))
    assert [step.repeat.until for step in soak.steps if step.repeat is not None] == [1e-4]
    assert all(step.settle.until == 0 for _, step in walk_steps(soak.steps) if step.settle is not None)
    demo = read_changed(DEMO, Overrides(until=1e-4))
    assert [step.settle.until for step in demo.steps if step.settle is not None] == [0, 1e-4]
    assert demo.enough.operations == 30_000
    assert demo.time_limit > read_scenario(DEMO).time_limit + 30_000 * demo.users.think / demo.users.count
    assert read_changed(DEMO, Overrides(users=10, until=0.5)).enough.operations == 333  # what it asked for is more


def radius_of(name: str) -> tuple[int, int, int | None, int]:
    radius = blast_radius(read_scenario(LIBRARY / f"{name}.yaml"))
    return radius.replicas, radius.at_the_peak, radius.strikes, radius.at_once


def test_the_blast_radius_is_what_the_scenario_may_do() -> None:
    """Slots, containers at the peak, strikes in all (None: in every round), and strikers at the same time."""
    assert radius_of("demo") == (6, 7, 4, 1)
    assert radius_of("rolling") == (6, 8, 0, 0)
    assert radius_of("red-black") == (6, 12, 0, 0)
    assert radius_of("deployer-death") == (6, 7, 3, 3)
    assert radius_of("soak") == (6, 8, None, 1)


def lacking(scenario: Scenario) -> list[str]:
    """What a scenario's plan does not say: its seed, what could be touched, and each of its steps."""
    text = "\n".join(plan_lines(scenario, runs=Path("runs"), seed=7))
    kinds = [next(key for key in step.__struct_fields__ if getattr(step, key) is not None) for step in scenario.steps]
    return [one for one in ("seed        7", "blast radius", *kinds) if one not in text]


def test_every_scenario_has_a_plan() -> None:
    """With its images, its steps, and what could be touched."""
    found = {path.stem: lacking(read_scenario(path)) for path in LIBRARY.glob("*.yaml")}
    assert found
    assert {name: lacks for name, lacks in found.items() if lacks} == {}


def test_a_dry_run_needs_no_engine_and_writes_nothing() -> None:
    """It plans all scenarios that are named, and exits 0; the options come from the environment as well."""
    runs = LIBRARY.parents[1] / "runs"
    before = set(runs.glob("*"))
    said = lab("run", "demo", "soak", "--dry-run", LAB_USERS="12", LAB_SET="users.tries=2 title=mine")
    assert said.returncode == 0, said.stderr
    assert said.stdout.count("blast radius") == 2
    assert "users       12, 4 on two devices" in said.stdout
    assert said.stdout.startswith("mine\n")
    assert set(runs.glob("*")) == before


def test_the_command_line_goes_before_the_environment() -> None:
    """And a variable that is no value is refused by its name."""
    assert "users       9," in lab("run", "demo", "--dry-run", "--users", "9", LAB_USERS="12").stdout
    for wrong in ({"LAB_USERS": "many"}, {"LAB_DRY_RUN": "perhaps"}, {"LAB_COLOR": "red"}):
        said = lab("run", "demo", **wrong)
        [(name, value)] = wrong.items()
        assert said.returncode == ExitCode.USAGE
        assert f"{name}={value}" in said.stderr
        assert "Traceback" not in said.stderr


def test_one_bad_file_among_several_starts_nothing(tmp_path: Path) -> None:
    """All are read before the first begins."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("lab: 1\n")
    said = lab("run", "demo", str(bad))
    assert said.returncode == ExitCode.USAGE
    assert str(bad) in said.stderr
    assert "seed" not in said.stdout


def test_the_worst_exit_code_of_several_runs() -> None:
    """A broken promise is worse than nothing told, and that is worse than a rollback."""
    assert worst_of([]) is ExitCode.HELD
    assert worst_of([0, 3, 0]) is ExitCode.ROLLED_BACK
    assert worst_of([3, 5, 0]) is ExitCode.TOO_LITTLE_CHECKED
    assert worst_of([4, 5]) is ExitCode.COULD_NOT_TELL
    assert worst_of([4, 1, 2]) is ExitCode.BROKEN
    assert set(BADNESS) == set(ExitCode) - {ExitCode.INTERRUPTED, ExitCode.TERMINATED}


def test_json_keeps_prose_off_standard_output() -> None:
    """Even where a run can't begin: whoever reads lines of JSON gets nothing else."""
    said = lab("run", "demo", "--json")
    assert said.returncode == ExitCode.USAGE  # no engine where DOCKER_HOST says
    assert [json.loads(line) for line in said.stdout.splitlines()] == []
    assert "DOCKER_HOST" in said.stderr
