"""A scenario file is read whole or refused with the key path of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import ExitCode, ScenarioError
from lab.scenario.file import LIBRARY, find_scenario, read_scenario

DEMO = (LIBRARY / "demo.yaml").read_text()


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_scenario_that_comes_with_the_lab_can_be_read(path: Path) -> None:
    """The library is its own example."""
    scenario = read_scenario(path)
    assert scenario.name == path.stem
    assert len(scenario.cluster.slots) == 6
    assert scenario.enough.strikes_that_hit >= 4


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
