"""A scenario file is read whole or refused with the key path of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import ExitCode, ScenarioError
from lab.scenario.read import LIBRARY, find_scenario, read_scenario
from lab.scenario.spec import rolled_to

DEMO = (LIBRARY / "demo.yaml").read_text()


def test_every_scenario_that_comes_with_the_lab_can_be_read() -> None:
    """The library is its own example: each is named as its file is, and asks for enough."""
    read = {path.stem: read_scenario(path) for path in sorted(LIBRARY.glob("*.yaml"))}
    assert read
    assert [name for name, one in read.items() if one.name != name] == []
    assert [name for name, one in read.items() if min(one.enough.operations, one.enough.checks) < 2000] == []
    rolling = {name: one for name, one in read.items() if rolled_to(one.steps)}
    assert [name for name, one in rolling.items() if one.enough.users_served_by_new < 40] == []


@pytest.mark.parametrize("written", ["1e-4", "1.0e-4", "0.0001", "1E-04"])
def test_a_number_is_one_however_it_is_written(tmp_path: Path, written: str) -> None:
    """YAML 1.1 takes one without a point for text."""
    path = changed(tmp_path, "demo", "- settle: {for: ", f"- settle: {{until: {written}, for: ")
    found = [step.settle.until for step in read_scenario(path).steps if step.settle is not None]
    assert 0.0001 in found


def changed(tmp_path: Path, named: str, before: str, after: str) -> Path:
    text = (LIBRARY / f"{named}.yaml").read_text()
    assert before in text
    path = tmp_path / "changed.yaml"
    path.write_text(text.replace(before, after, 1))
    return path


@pytest.mark.parametrize(
    ("named", "before", "after", "told"),
    [
        ("canary", "shares: [0.1, 0.5, 1] ", "shares: [0.5, 0.1]", "steps[1].roll.shares"),
        ("canary", "hold: 4", "surge: 4", "surge"),
        ("demo", "neighbours: 500", "repeats: 4", "enough.occasions.repeats"),
        ("canary", "strategy: canary", "strategy: blue", "strategy"),
        ("red-black", "batch: 2", 'batch: "two"', "steps[1].together[0].roll.batch"),
        ("deployer-death", "deployers: 2", "deployers: 1", "steps[1].together[1].fault.do"),
        ("deployer-death", "moment: before", "moment: during", "fault.at.moment"),
        ("deployer-death", "slot: b1}}\n", "slot: d1}}\n", "steps[1].together[1].fault.at.slot"),
        ("deployer-death", "slot: b1}}\n", "phase: keep}}\n", "steps[1].together[1].fault.at.phase"),
        ("deployer-death", 'roll: {to: "shop:v2", pause: 0.5}', "settle: {for: 1}", "steps[1].together[1].fault"),
        ("scale", "begin_with: 4", "begin_with: 10", "cluster.begin_with"),
        ("scale", "most: 8", "most: 18", "autoscale.least, most"),
        ("scale", "- pace: {think: 0.18}", "- scale: {to: {a: 4}}", "steps[1].scale.to.a"),
    ],
)
def test_a_rollout_that_makes_no_sense_is_refused(
    tmp_path: Path, named: str, before: str, after: str, told: str
) -> None:
    """With its key path, before anything is started."""
    with pytest.raises(ScenarioError) as refused:
        read_scenario(changed(tmp_path, named, before, after))
    assert told in str(refused.value)
    assert refused.value.exit_code is ExitCode.USAGE


def test_slots_go_round_the_zones() -> None:
    """A rolling upgrade in slot order never touches one zone twice in a row."""
    names = [slot.name for slot in read_scenario(LIBRARY / "demo.yaml").cluster.slots]
    assert names == ["a1", "b1", "c1", "a2", "b2", "c2"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("count: 60", "count: many"), "users.count"),
        (("think: 0.35", "thunk: 0.35"), "users"),
        (("lab: 1 ", "lab: 9 "), "lab"),
        (("on_two_devices: 20", "on_two_devices: 61"), "users.on_two_devices"),
        (("count: 60", "count: -1"), "users.count: must be from 1 to 10000"),
        (("count: 60", "count: 0"), "users.count: must be from 1 to 10000"),
        (("promises:\n", "promises:\n  available: 1.5\n"), "promises.available: must be from 0 to 1"),
        (("promises:\n", "promises:\n  available: 99\n"), "promises.available: must be from 0 to 1"),
        (("least_serving: 5", "least_serving: 6"), "steps[1].together[1].monkey.least_serving"),
        (("- settle: {for: 5}", "- settle: {for: 5}\n    roll: {to: x}"), "steps[0]"),
        (("affinity: none", "affinity: glue"), "cluster.affinity"),
        (("zones: {a: 2, b: 2, c: 2}", "zones: {}"), "cluster.zones"),
        (("title:", "title: [a"), "line"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_told_with_its_key_path(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    """The message names the file and the key; the exit code is 2."""
    path = tmp_path / "mine.yaml"
    assert change[0] in DEMO
    path.write_text(DEMO.replace(*change, 1))
    with pytest.raises(ScenarioError) as caught:
        read_scenario(path)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("change", "where", "meant"),
    [
        (("think: 0.35", "thunk: 0.35"), "users.thunk", "think"),
        (("- settle: {for: 5}", "- setle: {for: 5}"), "steps[0].setle", "settle"),
        (("least_serving: 5", "least_sering: 5"), "steps[1].together[1].monkey.least_sering", "least_serving"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unknown_key_is_told_with_its_line_and_what_was_meant(
    tmp_path: Path, change: tuple[str, str], where: str, meant: str
) -> None:
    """The line is the one that holds the key."""
    path = tmp_path / "mine.yaml"
    text = DEMO.replace(*change, 1)
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        read_scenario(path)
    line = next(number for number, one in enumerate(text.splitlines(), 1) if where.rpartition(".")[2] in one)
    assert f"line {line}: {where}" in str(caught.value)
    assert f"did you mean '{meant}'?" in str(caught.value)


STEP = """
lab: 1
name: x
title: x
cluster: {{release: "shop:v1", zones: {{a: 2, b: 1}}, edges: zones}}
steps:
  - {}
"""


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("strike: {do: kill, to: d1}", "strike.to"),
        ("strike: {do: squeeze, to: balancer}", "strike.do"),
        ("strike: {do: kill, to: a}", "strike.to"),
        ("strike: {do: kill, to: deployer}", "strike.to"),
        ("strike: {do: explode}", "strike.do"),
        ("lose_zone: {zone: d}", "lose_zone.zone"),
        ("monkey: {least_serving: 1, groups: [deployer]}", "monkey.groups"),
        ("monkey: {least_serving: 1, calendar: {time_zone: Nowhere}}", "monkey.calendar.time_zone"),
    ],
)
def test_a_strike_at_what_is_not_there_is_refused(tmp_path: Path, step: str, told: str) -> None:
    """Before anything is started, with the key: no such victim, no such fault for it, or beyond the blast radius."""
    path = tmp_path / "x.yaml"
    path.write_text(STEP.format(step))
    with pytest.raises(ScenarioError) as refused:
        read_scenario(path)
    assert told in str(refused.value)


@pytest.mark.parametrize("radius", ["{zones: 0}", "{least_serving: 2}"])
def test_a_lost_zone_beyond_the_blast_radius_is_refused(tmp_path: Path, radius: str) -> None:
    """Two of three replicas are in zone a: it may go only if one is enough, and if zones may go at all."""
    path = tmp_path / "x.yaml"
    path.write_text(STEP.format("lose_zone: {zone: a}"))
    read_scenario(path)
    path.write_text(path.read_text() + f"blast_radius: {radius}\n")
    with pytest.raises(ScenarioError, match="lose_zone"):
        read_scenario(path)


@pytest.mark.parametrize("zones", ["A: 2", "eu_west: 2", '"a; ": 2', '"../x": 2', '"": 2', "-a: 2", "a: 11, a1: 1"])
def test_zones_that_the_balancer_could_not_tell_by_their_slots_are_refused(tmp_path: Path, zones: str) -> None:
    """Their names go into its doors, its sockets and its configuration; and no two slots are called the same."""
    path = tmp_path / "x.yaml"
    path.write_text(STEP.format("settle: {for: 1}").replace("a: 2, b: 1", zones))
    with pytest.raises(ScenarioError, match=r"line 5: cluster\.zones"):
        read_scenario(path)
    path.write_text(path.read_text().replace(zones, "eu-west-1: 2, b: 1"))
    assert [slot.name for slot in read_scenario(path).cluster.slots] == ["eu-west-11", "b1", "eu-west-12"]


def test_a_key_like_no_other_gets_no_guess(tmp_path: Path) -> None:
    """Then a file that is right is pointed at."""
    path = tmp_path / "mine.yaml"
    path.write_text(DEMO + "\nzzzzqqqq: 1\n")
    with pytest.raises(ScenarioError, match=r"(?s)unknown key 'zzzzqqqq'.*compare with"):
        read_scenario(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"just text", b"[]"], ids=["empty", "binary", "text", "list"])
def test_what_is_no_scenario_at_all_is_refused(tmp_path: Path, content: bytes) -> None:
    """Never a traceback."""
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError, match=r"mine\.yaml"):
        read_scenario(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The path is named; a name that is no file lists the names that are known."""
    with pytest.raises(ScenarioError, match="can't be read"):
        read_scenario(tmp_path / "none.yaml")
    with pytest.raises(ScenarioError, match="demo-broken"):
        find_scenario("dmeo")


WHOLE = """
lab: 1
name: x
title: x
cluster: {{release: "shop:v1", zones: {{a: 2, b: 1}}{cluster}}}
steps:
  - {step}
{rest}
"""


@pytest.mark.parametrize(
    ("part", "text", "told"),
    [
        ("step", "settle: {for: .inf}", "steps[0].settle.for"),
        ("step", "settle: {for: .nan}", "steps[0].settle.for"),
        ("step", "settle: {for: -1}", "steps[0].settle.for"),
        ("step", 'roll: {to: "shop:v2", strategy: canary, hold: .inf}', "steps[0].roll.hold"),
        ("step", "pace: {think: 0}", "steps[0].pace.think"),
        ("step", "scale: {to: {a: 0, b: 0}}", "steps[0].scale.to"),
        ("step", "repeat: {for: 9, steps: [{scale: {to: {a: 0}}}, {scale: {to: {b: 0}}}]}", "steps[0].repeat.steps[1]"),
        ("step", "reverse: {}", "steps[0].reverse"),
        ("step", 'together: [{roll: {to: "shop:v2"}}, {reverse: {at: keep}}]', "steps[0].together[1].reverse.at"),
        ("step", 'together: [{roll: {to: "shop:v2"}}, {reverse: {at: prepare}}]', "steps[0].together[1].reverse.at"),
        (
            "step",
            'together: [{roll: {to: "shop:v2", strategy: red-black, keep: 0}}, {reverse: {at: keep}}]',
            "steps[0].together[1].reverse.at",
        ),
        ("step", 'roll: {to: "shop:v2", batch: "²%"}', "steps[0].roll.batch"),
        ("rest", "time_limit: .inf", "time_limit"),
        ("rest", "time_limit: 0", "time_limit"),
        ("rest", "users: {think: .nan}", "users.think"),
        ("rest", "users: {answer_timeout: 0}", "users.answer_timeout"),
        ("cluster", ", largest_body: 8mk", "cluster.largest_body"),
        ("cluster", ", begin_with: 1\nautoscale: {target: 1, least: 2, most: 3, zones: {a: {least: 2}}}", "begin_with"),
    ],
)
def test_what_would_go_wrong_only_once_users_are_there_is_refused(
    tmp_path: Path, part: str, text: str, told: str
) -> None:
    """A time without an end, a moment that never comes, nobody left to serve: told before anything is started."""
    path = tmp_path / "x.yaml"
    first, _, rest = text.partition("\n")
    parts = {"cluster": "", "step": "settle: {for: 1}", "rest": rest, part: first}
    path.write_text(WHOLE.format(**parts))
    with pytest.raises(ScenarioError) as refused:
        read_scenario(path)
    assert told in str(refused.value)
    assert refused.value.hint


@pytest.mark.parametrize("strategy", ["rolling", "red-black"])
def test_a_reverse_may_be_asked_for_in_any_phase_that_the_rollout_beside_it_has(tmp_path: Path, strategy: str) -> None:
    """Also from within a `repeat` beside it."""
    path = tmp_path / "x.yaml"
    phase = "keep" if strategy == "red-black" else "move"
    roll, reverse = f'{{roll: {{to: "shop:v2", strategy: {strategy}}}}}', f"{{reverse: {{at: {phase}}}}}"
    inside = f"[{roll}, {{repeat: {{for: 1, steps: [{reverse}]}}}}]"
    path.write_text(WHOLE.format(cluster="", step=f"together: {inside}", rest=""))
    assert read_scenario(path).steps[0].together


@pytest.mark.parametrize(
    "step",
    ["monkey: {calendar: {begins: 2026-02-30}}", "&s {repeat: {for: 1, steps: [*s]}}", "[" * 5000],
    ids=["no such day", "an alias of itself", "too deep"],
)
def test_what_yaml_itself_stumbles_over_is_told(tmp_path: Path, step: str) -> None:
    """Never a traceback: a value that YAML takes for a date, and what holds itself."""
    path = tmp_path / "mine.yaml"
    path.write_text(WHOLE.format(cluster="", step=step, rest=""))
    with pytest.raises(ScenarioError, match=r"(?s)mine\.yaml.*try: "):
        read_scenario(path)
