"""Whatever a scenario file holds, it is read whole or refused with its key path; never anything else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.backends.own_app import balancer_settings
from lab.balancer.config import render
from lab.errors import ExitCode, LabError
from lab.scenario.overrides import parse_change
from lab.scenario.plan import plan_lines
from lab.scenario.read import read_scenario
from lab.scenario.spec import Scenario, may_be_empty
from tests.unit.scenario.fuzzing import DOCUMENTS, SETTINGS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: web}}\n")
    return tmp_path / "x.yaml"


def read(path: Path, text: str) -> Scenario | None:
    """The scenario, or None where it was refused as it must be."""
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    try:
        return read_scenario(path)
    except LabError as exc:
        assert exc.exit_code is ExitCode.USAGE
        assert str(path) in exc.at, f"no place: {exc!r}"
        assert exc.what
        return None


@SETTINGS
@given(document=DOCUMENTS)
@pytest.mark.slow
def test_whatever_is_drawn_is_read_or_refused(path: Path, document: dict[str, Any]) -> None:
    """And what is read can be planned, rendered for the balancer, recorded and read again from the record."""
    scenario = read(path, yaml.safe_dump(document, allow_unicode=False))
    if scenario is None:
        return
    if scenario.cluster.compose is None:
        assert list(plan_lines(scenario, runs=Path("runs"), seed=1))
    assert render(scenario.cluster.slots, balancer_settings(scenario.cluster, may_be_empty(scenario)))
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(scenario)), Scenario) == scenario


@pytest.mark.slow
def test_a_good_part_of_what_is_drawn_is_read(path: Path) -> None:
    """Else only refusals would be looked at."""
    seen: Counter[bool] = Counter()

    @settings(SETTINGS, max_examples=300, derandomize=True)
    @given(document=DOCUMENTS)
    def look(document: dict[str, Any]) -> None:
        seen[read(path, yaml.safe_dump(document)) is not None] += 1

    look()
    assert seen[True] >= 10, seen


@SETTINGS
@given(text=st.text(max_size=60) | st.text("[]{}&*a:!|>-? \n'\"\\<", max_size=60))
def test_any_text_is_read_or_refused(path: Path, text: str) -> None:
    """As a file and as a change."""
    assert read(path, text) is None
    try:
        parse_change(f"users.count={text}")
    except LabError as exc:
        assert exc.exit_code is ExitCode.USAGE
