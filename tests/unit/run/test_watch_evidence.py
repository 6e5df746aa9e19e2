"""Who bears witness of a deployment that is not the lab's, and what counts as served by a new release."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from lab.backends.compose_witness import observed
from lab.clock import NS
from lab.errors import ExitCode
from lab.model import Kind, Operation, Outcome, Try
from lab.oracle.crossing import Answerers, Crossing, find_crossing
from lab.record import AnyEvent, CommandBegan, Observed, PhaseBegan, ReadRecord, Strike, Trouble
from lab.retry import wait_until
from tests.unit.run.watched import WATCHED, Deployment, deployment, watch

pytestmark = pytest.mark.slow

BY_ANSWERS = "release: {header: X-Version, get: /version, json: app.release}"


@pytest.fixture
def app() -> Iterator[Deployment]:
    with deployment() as app:
        yield app


# ---------------------------------------------------------------- two signs


def answers(*said: tuple[int, str]) -> Answerers:
    """Answers at these seconds, from these releases."""
    found = Answerers(())
    for number, (second, release) in enumerate(said):
        at = second * NS
        one = Try(begin=at, end=at + 1, result="200", release=release, replica=release)
        found.feed(
            Operation(
                id=number,
                user="u",
                device="u.1",
                kind=Kind.READ,
                begin=at,
                end=at + 1,
                outcome=Outcome.OK,
                tries=(one,),
            )
        )
    return found


def began(second: int = 10) -> CommandBegan:
    return CommandBegan(at=second * NS, command=1, argv=("./deploy.sh",))


def seen(second: int, what: str, release: str = "", who: str = "web-1") -> Observed:
    return Observed(at=second * NS, who=who, what=what, release=release, source="the engine")


@pytest.mark.parametrize(
    ("events", "said", "release", "why"),
    [
        ([began(), seen(1, "ready", "v1"), seen(12, "started", "v2")], [(1, "v1"), (13, "v2")], "v2", ""),
        ([began(), seen(1, "ready", "web:a"), seen(12, "ready", "web:b")], [(1, "v1"), (13, "v2")], "v2", ""),
        ([began(), seen(1, "ready"), seen(12, "ready")], [(1, "v1"), (13, "v2")], "v2", ""),
        ([began(), seen(12, "ready", "v2")], [(1, "v1"), (13, "v2")], "v2", ""),
        ([began(), seen(12, "ready", "web:a")], [(1, "v1"), (13, "v2")], None, "nobody else"),
        ([began()], [(1, "v1"), (13, "v2")], None, "answers name v2, and nobody else has seen a new release"),
        ([began(), seen(1, "ready", "v1"), seen(12, "ready", "v1")], [(1, "v1"), (13, "v2")], None, "nobody else"),
        ([began(), seen(1, "ready", "v1"), seen(12, "ended", "v2")], [(1, "v1"), (13, "v2")], None, "nobody else"),
        ([began(), seen(9, "started", "v2")], [(1, "v1"), (13, "v2")], None, "nobody else"),
        ([began(), seen(30, "started", "v2")], [(1, "v1"), (13, "v2")], None, "nobody else"),
        ([began(), seen(12, "started", "v2")], [(1, "v1"), (13, "v1")], None, "had not answered before"),
        ([seen(12, "started", "v2")], [(1, "v1"), (13, "v2")], None, "nothing was deployed"),
    ],
)
def test_a_new_release_is_known_by_two_signs(
    events: Sequence[AnyEvent], said: list[tuple[int, str]], release: str | None, why: str
) -> None:
    """What answers say, and what somebody else saw arrive that was not there before; never one of them alone."""
    found = find_crossing(events, answers(*said))
    assert found.release == release
    assert why in found.why_not


def test_where_nobody_new_answers_nothing_was_deployed() -> None:
    """Unless answers say nothing at all of who gives them."""
    assert find_crossing([began()], answers((1, "v1"), (13, "v1"))).nobody_new
    assert not find_crossing([began()], answers((1, "v1"), (13, "v2"))).nobody_new
    assert find_crossing([began()], Answerers(())) == Crossing(why_not="no answer names one")


def test_without_a_command_the_deployment_begins_with_the_first_step() -> None:
    """Somebody else deploys meanwhile."""
    names = ("log in", "settle", "settle", "settle", "read back")
    phases: list[AnyEvent] = [PhaseBegan(at=second * NS, name=name) for second, name in enumerate(names)]
    found = find_crossing([*phases, seen(2, "ready", "v2")], answers((0, "v1"), (2, "v2")))
    assert found.release == "v2"


def test_users_served_by_a_release_of_which_answers_alone_speak_are_not_counted(
    app: Deployment, tmp_path: Path
) -> None:
    """Exit 5 where they are asked for: /version, the other witness, says what it always said."""
    text = WATCHED.replace("json: app.release", "json: app.none")
    ended = watch(app, tmp_path, text)
    assert ended.code == ExitCode.TOO_LITTLE_CHECKED, ended.lines
    assert ended.judged.judgement.evidence.users_served_by_new == 0
    assert any("answers name v2, and nobody else" in reason for reason in ended.judged.judgement.reasons)


def test_a_command_that_deploys_nothing_proves_nothing(app: Deployment, tmp_path: Path) -> None:
    """Exit 5, though it succeeded and nobody was hurt: nobody new answered."""
    text = WATCHED.replace(", users_served_by_new: 6", "").replace("}}", "}, replica: {header: X-Path}}", 1)
    ended = watch(app, tmp_path, text.replace("checks: 6", "checks: 0"), deploy="['true']")
    assert ended.code == ExitCode.TOO_LITTLE_CHECKED, ended.lines
    assert any("nothing new was deployed" in reason for reason in ended.judged.judgement.reasons)


def test_a_release_may_stand_in_the_json_of_answers(app: Deployment, tmp_path: Path) -> None:
    """Instead of a header; an answer that is no JSON says nothing."""
    text = WATCHED.replace(BY_ANSWERS, "release: {json: by.release}").replace(", users_served_by_new: 6", "")
    ended = watch(app, tmp_path, text)
    assert ended.code == ExitCode.HELD, ended.lines
    named = {one.final.release for one in ReadRecord(ended.folder).history()}
    assert {"v1", "v2"} <= named
    assert any("nobody else has seen a new release" in line for line in ended.judged.judgement.not_checked)


# ---------------------------------------------------------------- a command that sees


def witness(folder: Path, *lines: str, ends: bool = False) -> str:
    """A program that waits until the release is another one, and prints these lines."""
    path = folder / "evidence.py"
    path.write_text(
        f"#!{sys.executable}\n"
        "import json, sys, time, urllib.request as u\n"
        "url = sys.argv[1]\n"
        "print('its own words', file=sys.stderr)\n"
        'print(json.dumps({"who": "web-1", "what": "ready", "release": "v1"}), flush=True)\n'
        "while json.load(u.urlopen(url + '/version'))['app']['release'] == 'v1': time.sleep(0.05)\n"
        + "".join(f"print({line!r}, flush=True)\n" for line in lines)
        + ("" if ends else "time.sleep(600)\n")
    )
    path.chmod(0o755)
    return WATCHED.replace(BY_ANSWERS, "release: {header: X-Version}, evidence: {command: [./evidence.py, URL]}")


def test_a_command_may_bear_witness(app: Deployment, tmp_path: Path) -> None:
    """What it prints is recorded as observed, never as something that the lab did; it is ended with the run."""
    ended = watch(app, tmp_path, witness(tmp_path, '{"who": "web-2", "what": "ready", "release": "v2"}'))
    assert ended.code == ExitCode.HELD, ended.lines
    events = list(ReadRecord(ended.folder).events())
    told = [(one.who, one.what, one.release) for one in events if isinstance(one, Observed)]
    assert told == [("web-1", "ready", "v1"), ("web-2", "ready", "v2")]
    assert not any(isinstance(one, Strike | Trouble) for one in events)
    assert sum(isinstance(one, CommandBegan) for one in events) == 1  # the one that deploys
    assert ended.judged.judgement.evidence.users_served_by_new == 6
    assert not processes_with(str(tmp_path / "evidence.py"))


def test_a_witness_that_sees_nothing_new_leaves_it_open(app: Deployment, tmp_path: Path) -> None:
    """The answers alone say that there is a new release."""
    ended = watch(app, tmp_path, witness(tmp_path))
    assert ended.code == ExitCode.TOO_LITTLE_CHECKED, ended.lines


@pytest.mark.parametrize(
    ("line", "ends", "what"),
    [
        ("web-2 is ready", False, "printed what is no sighting"),
        ('{"who": "web-2", "what": "exploded"}', False, "printed what is no sighting"),
        ('{"who": "web-2", "what": "ready", "release": "v2"}', True, "is over: ended with 0"),
    ],
)
def test_a_witness_that_fails_is_trouble(app: Deployment, tmp_path: Path, line: str, ends: bool, what: str) -> None:
    """Nobody sees any more what happens: could not tell."""
    ended = watch(app, tmp_path, witness(tmp_path, line, ends=ends))
    assert ended.code == ExitCode.COULD_NOT_TELL, ended.lines
    assert any(what in reason for reason in ended.judged.judgement.reasons)


# ---------------------------------------------------------------- what the engine says


def test_what_the_engine_says_of_a_compose_project_in_the_records_words() -> None:
    """Nothing of it is a strike, and a health check's own runs are nothing."""

    def said(action: str, **more: str) -> Observed | None:
        actor = {"ID": "0123456789abcdef", "Attributes": {"name": "shop-web-1", "image": "web:v2", **more}}
        return observed({"Action": action, "Actor": actor, "timeNano": 5}, 7)

    assert said("start") == Observed(at=7, who="shop-web-1", what="started", release="v2", source="the engine")
    told = {action: one.what for action in ("health_status: healthy", "kill", "die") if (one := said(action))}
    assert told == {"health_status: healthy": "ready", "kill": "leaving", "die": "ended"}
    for action in ("create", "exec_start: /bin/true", "health_status: unhealthy", "destroy", "attach"):
        assert said(action) is None


# ---------------------------------------------------------------- a killed lab


WATCHES = """
import sys
from pathlib import Path
from lab.operate.runs import ChosenRun, watch_one
from lab.scenario.read import read_scenario
watch_one(ChosenRun(scenario=read_scenario(Path(sys.argv[1])), seed=1), Path(sys.argv[2]), say=print)
"""


def processes_with(word: str) -> list[psutil.Process]:
    found = []
    for one in psutil.process_iter(["cmdline"]):
        if any(word in part for part in one.info["cmdline"] or ()):
            found.append(one)
    return found


def test_a_lab_that_is_killed_leaves_nothing_of_the_command(app: Deployment, tmp_path: Path) -> None:
    """SIGKILL to the lab while the command runs and has others in the background; the record tells what was seen."""
    mark = f"marked-{os.getpid()}"
    deploy = tmp_path / "deploy.sh"
    deploy.write_text(
        "#!/bin/sh\necho begins\n"
        f"{sys.executable} -c 'import time; time.sleep(600)' {mark} &\n"
        f"exec setsid {sys.executable} -c 'import time; time.sleep(600)' {mark}\n"
    )
    deploy.chmod(0o755)
    scenario = tmp_path / "watched.yaml"
    scenario.write_text(WATCHED.replace("DEPLOY", "[./deploy.sh]").replace("URL", app.url))
    lab = subprocess.Popen(
        [sys.executable, "-c", WATCHES, str(scenario), str(tmp_path / "runs")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until("the command is at it", lambda: len(processes_with(mark)) >= 2, within=30)
    finally:
        lab.send_signal(signal.SIGKILL)
        lab.wait()
    wait_until("nothing of it is left", lambda: not processes_with(mark), within=15)
    [folder] = (tmp_path / "runs").iterdir()
    events = list(ReadRecord(folder).events())
    assert any(isinstance(one, CommandBegan) for one in events)
