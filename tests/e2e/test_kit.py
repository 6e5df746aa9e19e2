"""What a CI uses: several scenarios in one go, events on standard output, strikes told one by one, repeats."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from lab.experiments.replay import strikes_in
from lab.machine.setup import Toolbox
from lab.record import AnyEvent, ReadRecord, RunBegan, RunEnded, Strike, StrikeProved
from lab.scenario.read import read_scenario
from tests.e2e.runs import ROOT, lab, scenario

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time]


@pytest.fixture(scope="module", autouse=True)
def images(toolbox: Toolbox) -> None:
    """The images are there before a run is timed."""


@pytest.mark.prove
def test_several_runs_as_json_lines(tmp_path: Path) -> None:
    """A short soak holds, the next is cut short: exit 4; standard output is the two records and nothing else."""
    (tmp_path / "short").mkdir()
    round_of = "[{roll: {to: 'shop:v2', batch: 3}}, {schedule: {strikes: [{slot: b1, at: 0.2}]}}]"
    back = "{roll: {to: 'shop:v1', batch: 3}}"
    soak = scenario(
        tmp_path,
        steps=f"[{{settle: {{for: 2}}}}, {{repeat: {{for: 0.5, steps: [{{together: {round_of}}}, {back}]}}}}]",
        enough="{operations: 100, checks: 100, strikes_that_hit: 1, users_served_by_new: 1}",
    )
    short = scenario(tmp_path / "short", time_limit="1")
    ended = lab("run", soak, short, "--json", "--seed", "5")
    assert ended.code == 4, ended.out + ended.err
    folders = [ROOT / "runs" / name for name in re.findall(r"run (\S+), seed 5", ended.err)]
    assert len(folders) == 2
    assert ended.out == "".join((folder / "events.jsonl").read_text() for folder in folders)
    decoder = msgspec.json.Decoder(AnyEvent)
    events: list[AnyEvent] = [decoder.decode(line) for line in ended.out.splitlines()]
    assert [event.scenario for event in events if isinstance(event, RunBegan)] == ["small", "small"]
    assert [(event.verdict, event.exit_code) for event in events if isinstance(event, RunEnded)] == [
        ("held", 0),
        ("could not tell", 4),
    ]
    [strike] = [event for event in ReadRecord(folders[0]).events() if isinstance(event, Strike)]
    assert strike.slot == "b1"
    assert all(event.hit for event in events if isinstance(event, StrikeProved))


@pytest.mark.prove
def test_a_broken_run_is_repeated_and_shrunk(tmp_path: Path) -> None:
    """Two strikes on sessions in memory: again they fall on the same slots, and one of them is found to be enough."""
    file = scenario(
        tmp_path,
        cluster="{release: 'shop:v1-memory', zones: {a: 1, b: 1, c: 1}, affinity: cookie}",
        steps="[{settle: {for: 1}}, {monkey: {at_most: 2, mean_gap: 1, least_gap: 0.7, least_serving: 2}}]",
    )
    first = lab("run", file, "--seed", "4")
    assert first.code == 1, first.out + first.err
    again = lab("repeat", first.folder.name)
    assert again.code == 1, again.out + again.err
    assert "then: broken (logged_in); now: broken (logged_in)" in again.out
    struck = [[event.slot for event in one.events() if isinstance(event, Strike)] for one in (first, again)]
    assert struck[0] == struck[1]
    assert len(struck[0]) == 2
    shrunk = lab("shrink", first.folder.name)
    assert shrunk.code == 1, shrunk.out + shrunk.err
    assert re.search(r"^  held    no strike at all$", shrunk.out, re.MULTILINE)
    assert re.search(
        rf"^BROKEN logged_in by {struck[0][0]} at \S+ s: the fewest, after 3 runs$", shrunk.out, re.MULTILINE
    )
    assert len(strikes_in(read_scenario(first.folder / "shrunk.yaml"))) == 1
