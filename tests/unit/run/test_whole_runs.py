"""Whole runs on a cluster in this process: conductor, steps, strikes, stop, judge, exit codes, in seconds."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from lab.errors import ExitCode
from lab.record import (
    CommandBegan,
    CommandEnded,
    CommandSaid,
    PhaseBegan,
    RolloutMoved,
    Strike,
    StrikeProved,
    StrikeSource,
    StrikeUndone,
    Trouble,
)
from tests.in_process import InProcessLab, small

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> InProcessLab:
    return InProcessLab(tmp_path)


def test_users_keep_their_state_through_an_upgrade_and_kills(lab: InProcessLab) -> None:
    """The order of phases, the verdict, and that nothing of the cluster is left."""
    steps = (
        '[{together: [{roll: {to: "shop:v2"}},'
        " {monkey: {at_least: 1, at_most: 1, mean_gap: 0.3, least_gap: 0.1, least_serving: 2}}]},"
        " {settle: {for: 0.3}}]"
    )
    ended = lab.run(small(steps=steps))
    assert ended.code == ExitCode.HELD, ended.lines
    phases = [event.name for event in ended.events() if isinstance(event, PhaseBegan)]
    assert phases == ["up", "log in", "together", "settle", "settle", "read back", "clean up", "down"]
    assert [event.hit for event in ended.events() if isinstance(event, StrikeProved)].count(True) == 1
    assert not lab.backend.is_there(f"lab-{ended.folder.name}")


def test_state_in_the_replicas_memory_breaks_the_promise(lab: InProcessLab) -> None:
    """Every user is found to have lost theirs, and the cause is named."""
    ended = lab.run(small(cluster='{release: "shop:v1-memory", zones: {a: 1, b: 1, c: 1}, affinity: cookie}'))
    assert ended.code == ExitCode.BROKEN
    assert "logged_in" in ended.broken


def test_a_release_that_never_gets_ready_is_rolled_back(lab: InProcessLab) -> None:
    """Exit 3, users unharmed."""
    ended = lab.run(small(steps='[{roll: {to: "shop:v2-never-ready", ready_within: 0.5}}]'))
    assert ended.code == ExitCode.ROLLED_BACK, ended.lines
    moves = [event for event in ended.events() if isinstance(event, RolloutMoved) and event.ending]
    assert [one.ending for one in moves] == ["rolled back"]


@pytest.mark.parametrize("more", ["operations: 100000", "strikes_that_hit: 1", "users_served_by_new: 1"])
def test_too_little_is_never_green(lab: InProcessLab, more: str) -> None:
    """Too few operations, nobody struck, nobody served by a new release: exit 5."""
    assert lab.run(small(enough=f"{{checks: 20, {more}}}")).code == ExitCode.TOO_LITTLE_CHECKED


def test_a_run_goes_on_until_it_shows_enough(lab: InProcessLab) -> None:
    """Until 3 divided by the actions is as small as wanted, however few seconds were asked for."""
    ended = lab.run(small(steps="[{settle: {for: 0.01, until: 0.01}}]"))
    assert ended.code == ExitCode.HELD, ended.lines
    assert ended.judged.judgement.evidence.first_tries.actions >= 300
    in_rounds = lab.run(small(steps="[{repeat: {for: 0.01, until: 0.01, steps: [{settle: {for: 0.1}}]}}]"))
    assert in_rounds.code == ExitCode.HELD, in_rounds.lines
    assert in_rounds.judged.judgement.evidence.first_tries.actions >= 300


def test_whoever_is_hurt_ends_the_wait_for_more(lab: InProcessLab) -> None:
    """What is broken already is shown no better by going on: a share that would take hours is given up."""
    ended = lab.run(
        small(
            cluster='{release: "shop:v1-memory", zones: {a: 1, b: 1, c: 1}, affinity: none}',
            steps="[{settle: {for: 0.2, until: 0.0000001}}]",
        )
    )
    assert ended.code == ExitCode.BROKEN, ended.lines


def test_a_run_whose_time_is_over_tells_nothing(lab: InProcessLab) -> None:
    """Exit 4, with what was waited for."""
    ended = lab.run(small(steps="[{settle: {for: 30}}]", time_limit="0.5"))
    assert ended.code == ExitCode.COULD_NOT_TELL
    trouble = next(event.what for event in ended.events() if isinstance(event, Trouble))
    assert "settle" in trouble


def test_a_run_in_which_nobody_met_a_new_release_is_not_enough(lab: InProcessLab) -> None:
    """Exit 5, though nothing broke."""
    ended = lab.run(small(steps="[{settle: {for: 0.5}}]", enough="{users_served_by_new: 1}"))
    assert ended.code == ExitCode.TOO_LITTLE_CHECKED, ended.lines
    assert not any("HELD" in line for line in ended.lines)


def test_a_replica_cut_by_its_planned_stop_is_found(lab: InProcessLab) -> None:
    """What the balancer may not repeat is cut off."""
    ended = lab.run(
        small(
            cluster='{release: "shop:v1-no-drain", zones: {a: 1, b: 1, c: 1}, repeat_writes: false}',
            users="{count: 20, on_two_devices: 0, think: 0.02, tries: 3}",
            steps='[{roll: {to: "shop:v2-no-drain"}}, {settle: {for: 0.3}}]',
        )
    )
    assert ended.code == ExitCode.BROKEN
    assert "clean_stops" in ended.broken


@pytest.mark.parametrize(
    ("step", "kind", "source"),
    [
        ("{strike: {do: kill, to: a1}}", "kill", StrikeSource.STEP),
        ("{strike: {do: freeze, to: a1, for: 0.4}}", "freeze", StrikeSource.STEP),
        ("{strike: {do: cut, to: a1, from: store, for: 0.4}}", "cut", StrikeSource.STEP),
        ("{strike: {do: freeze, to: balancer, for: 0.3}}", "freeze", StrikeSource.STEP),
        ("{strike: {do: kill, to: balancer, for: 0.3}}", "kill", StrikeSource.STEP),
        ("{strike: {do: freeze, to: store, for: 0.4}}", "freeze", StrikeSource.STEP),
        ("{schedule: {strikes: [{slot: b1, at: 0.1}]}}", "kill", StrikeSource.SCHEDULE),
    ],
)
def test_a_strike_is_recorded_proved_and_made_good(
    lab: InProcessLab, step: str, kind: str, source: StrikeSource
) -> None:
    """Users keep what is theirs; what lasts is undone, and the record says so."""
    patient = "{count: 8, on_two_devices: 3, think: 0.05, tries: 8}"  # a balancer that is away fails at once
    ended = lab.run(small(users=patient, steps=f"[{{settle: {{for: 0.3}}}}, {step}, {{settle: {{for: 0.3}}}}]"))
    assert ended.code == ExitCode.HELD, ended.lines
    [strike] = [event for event in ended.events() if isinstance(event, Strike)]
    assert (strike.fault_kind, strike.source) == (kind, source)
    [proof] = [event for event in ended.events() if isinstance(event, StrikeProved)]
    assert proof.hit, proof.why
    undone = [event.strike for event in ended.events() if isinstance(event, StrikeUndone)]
    assert undone == ([strike.strike] if strike.lasts or not strike.slot else [])


def test_a_pinned_freeze_says_in_the_record_that_it_ended(lab: InProcessLab) -> None:
    """As any other strike that lasts."""
    steps = (
        '[{together: [{roll: {to: "shop:v2"}},'
        ' {fault: {do: "freeze the store", at: {action: enter, slot: b1}, for: 0.3}}]}, {settle: {for: 0.3}}]'
    )
    ended = lab.run(small(steps=steps))
    assert ended.code == ExitCode.HELD, ended.lines
    [strike] = [event for event in ended.events() if isinstance(event, Strike)]
    assert (strike.source, strike.fault_kind, strike.lasts) == (StrikeSource.PIN, "freeze", True)
    assert [event.strike for event in ended.events() if isinstance(event, StrikeUndone)] == [strike.strike]


def test_a_lost_zone_comes_back(lab: InProcessLab) -> None:
    """All of it is struck, none is made there meanwhile, then every slot serves."""
    cluster = '{release: "shop:v1", zones: {a: 2, b: 2}}'
    radius = "{zones: 1, replicas: 2, least_serving: 1}"
    ended = lab.run(
        small(cluster=cluster, blast_radius=radius, steps="[{lose_zone: {zone: b, for: 0.5}}, {settle: {for: 0.2}}]")
    )
    assert ended.code == ExitCode.HELD, ended.lines
    struck = [event for event in ended.events() if isinstance(event, Strike)]
    assert {one.zone for one in struck} == {"b"}
    assert all(one.whole_zone for one in struck)


def test_a_halt_stops_the_run_and_nothing_is_claimed(lab: InProcessLab) -> None:
    """Exit 4: what was still to come was not done."""
    lab.backend.halt("somebody")
    ended = lab.run(small(steps="[{settle: {for: 3}}]"))
    assert ended.code == ExitCode.COULD_NOT_TELL
    assert "halted" in next(event.what for event in ended.events() if isinstance(event, Trouble))


def test_deployers_of_their_own_need_a_backend_that_others_find(lab: InProcessLab) -> None:
    """Told as such, with the key."""
    ended = lab.run(small(deployers="2"))
    assert ended.code == ExitCode.COULD_NOT_TELL
    assert "deployers" in next(event.what for event in ended.events() if isinstance(event, Trouble))


def test_a_command_runs_beside_the_users_and_nothing_of_it_is_left(lab: InProcessLab) -> None:
    """Its begin, its lines and its end are in the record, in order."""
    ended = lab.run(
        small(steps='[{command: {run: [sh, -c, "echo deployed; sleep 300 & exit 0"]}}, {settle: {for: 0.3}}]')
    )
    assert ended.code == ExitCode.HELD, ended.lines
    words = [event for event in ended.events() if isinstance(event, CommandBegan | CommandSaid | CommandEnded)]
    assert [type(one).__name__ for one in words] == ["CommandBegan", "CommandSaid", "CommandEnded"]
    [said] = [one.line for one in words if isinstance(one, CommandSaid)]
    assert said == "deployed"
    left = [one for one in psutil.Process().children(recursive=True) if "sleep" in one.name()]
    assert not left


@pytest.mark.parametrize(("script", "how"), [("exit 7", "ended with 7"), ("kill -9 $$", "was ended by signal 9")])
def test_a_command_that_fails_is_told_by_the_exit_code(lab: InProcessLab, script: str, how: str) -> None:
    """Exit 3: nobody was hurt, and what was to be done was not."""
    ended = lab.run(small(steps=f"[{{command: {{run: [sh, -c, '{script}']}}}}, {{settle: {{for: 0.5}}}}]"))
    assert ended.code == ExitCode.ROLLED_BACK, ended.lines
    assert ended.judged.judgement.evidence.failed_commands == (f"the command sh -c {script} {how}",)


def test_a_command_that_hangs_is_ended_and_nothing_is_claimed(lab: InProcessLab) -> None:
    """Exit 4, with its last line."""
    ended = lab.run(small(steps='[{command: {run: [sh, -c, "echo begun; sleep 300"], within: 0.8}}]'))
    assert ended.code == ExitCode.COULD_NOT_TELL
    trouble = next(event.what for event in ended.events() if isinstance(event, Trouble))
    assert "did not end within 0.8 s; its last line: begun" in trouble
    [end] = [event for event in ended.events() if isinstance(event, CommandEnded)]
    assert (end.code, end.why) == (None, "its 0.8 s were over")
