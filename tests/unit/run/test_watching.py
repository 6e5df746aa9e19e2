"""Whole runs against an app in this process that the lab neither made nor removes, and what it refuses to watch."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.clock import NS
from lab.errors import ExitCode, UsageError
from lab.operate.runs import RunRequest, run_scenarios
from lab.record import CommandEnded, CommandSaid, PhaseBegan, ReadRecord
from lab.run.watcher import bounded
from lab.scenario.overrides import Overrides
from lab.scenario.read import read_scenario
from lab.scenario.spec import UsersSpec
from tests.unit.run.watched import (
    AUTOSCALE,
    DEPLOY,
    DEPLOY_EMPTY,
    WATCHED,
    Deployment,
    deployment,
    watch,
    written,
)

pytestmark = pytest.mark.slow

RELEASE = ", release: {header: X-Version, get: /version, json: app.release}"


@pytest.fixture
def app() -> Iterator[Deployment]:
    with deployment() as app:
        yield app


def test_users_keep_their_state_while_somebody_else_deploys(app: Deployment, tmp_path: Path) -> None:
    """Held; the record has every phase, and a report; the app stands as before."""
    ended = watch(app, tmp_path)
    assert ended.code == ExitCode.HELD, ended.lines
    phases = [one.name for one in ReadRecord(ended.folder).events() if isinstance(one, PhaseBegan)]
    assert phases == ["log in", "settle", "command", "settle", "settle", "read back", "clean up"]
    assert ended.judged.judgement.evidence.users_served_by_new == 6
    assert (ended.folder / "report.html").stat().st_size > 10_000
    assert app.generation == 2
    assert not any("report is missing" in line for line in ended.lines)


def test_what_can_not_be_seen_of_a_target_is_said(app: Deployment, tmp_path: Path) -> None:
    """None of the promises about replicas and stores is called held, or only not asked for."""
    judgement = watch(app, tmp_path).judged.judgement
    asked = {one.promise for one in judgement.promises}
    assert asked == {"state_kept", "own_data", "applied_once", "logged_in", "tries"}
    for name in ("clean_stops", "serving_floor", "recovers", "rollouts_end", "loss_bound"):
        assert f"{name}: can't be seen of a deployment that the lab does not make" in judgement.not_checked
    assert any(line.startswith("which replica answered") for line in judgement.not_checked)
    assert not any("may lose" in line for line in judgement.not_checked)


@pytest.mark.parametrize("names", ["", ", replica: {header: X-Version}"])
def test_a_deployment_that_loses_state_is_found(app: Deployment, tmp_path: Path, names: str) -> None:
    """Exit 1: every user is logged out by the release that began empty, and what they had is gone."""
    text = WATCHED.replace(RELEASE, RELEASE + names)
    ended = watch(app, tmp_path, text, deploy=DEPLOY_EMPTY)
    assert ended.code == ExitCode.BROKEN, ended.lines
    assert {"state_kept", "logged_in"} <= ended.broken
    assert ended.judged.judgement.evidence.users_hurt == 6
    finding = min(ended.judged.judgement.findings, key=lambda one: one.at)
    assert "the command python3 -c" in finding.cause
    assert "formats" not in ended.judged.judgement.likely


def test_a_command_that_fails_while_nobody_is_hurt_is_exit_3(app: Deployment, tmp_path: Path) -> None:
    """With the command and how it ended in the first line."""
    deploy = DEPLOY.replace("')", "'); raise SystemExit(7)")
    ended = watch(app, tmp_path, deploy=deploy)
    assert ended.code == ExitCode.ROLLED_BACK, ended.lines
    [end] = [one for one in ReadRecord(ended.folder).events() if isinstance(one, CommandEnded)]
    assert end.code == 7
    assert any(line.startswith("HELD") and "ended with 7" in line for line in ended.lines)


def test_a_command_that_fails_and_hurts_users_is_exit_1(app: Deployment, tmp_path: Path) -> None:
    """The worse of both."""
    ended = watch(app, tmp_path, deploy=DEPLOY_EMPTY.replace("')", "'); raise SystemExit(7)"))
    assert ended.code == ExitCode.BROKEN, ended.lines


def test_an_app_that_nobody_deploys_tells_nothing(app: Deployment, tmp_path: Path) -> None:
    """Exit 5: nothing was read back from another release than the one that had taken it."""
    text = WATCHED.replace(", {command: {run: DEPLOY}}, {settle: {for: 0.4}}", "")
    ended = watch(app, tmp_path, text.replace(", users_served_by_new: 6", ""))
    assert ended.code == ExitCode.TOO_LITTLE_CHECKED, ended.lines
    assert ended.judged.judgement.evidence.checks["state_kept"] == 0


def test_where_no_header_says_who_answers_nothing_is_called_compared(app: Deployment, tmp_path: Path) -> None:
    """Exit 5, and the key that would help is named."""
    text = WATCHED.replace(RELEASE, "").replace(", users_served_by_new: 6", "")
    ended = watch(app, tmp_path, text)
    assert ended.code == ExitCode.TOO_LITTLE_CHECKED, ended.lines
    assert any("(target.replica)" in line for line in ended.judged.judgement.not_checked)


def test_the_rate_is_never_exceeded(app: Deployment, tmp_path: Path) -> None:
    """Counted by the app itself, logins and reading back included."""
    text = WATCHED.replace('urls: ["URL"]', 'urls: ["URL"], rate: 40').replace("checks: 6", "checks: 1")
    ended = watch(app, tmp_path, text.replace("operations: 20", "operations: 5"))
    assert ended.code == ExitCode.HELD, ended.lines
    seconds = (app.asked[-1] - app.asked[0]) / NS
    assert len(app.asked) > 20
    assert len(app.asked) <= 40 * seconds + 2


def test_users_are_spread_over_the_doors(app: Deployment, tmp_path: Path) -> None:
    """Two doors to one app: each is used."""
    with deployment() as other:
        other.notes, other.lock = app.notes, app.lock
        ended = watch(app, tmp_path, WATCHED.replace('["URL"]', f'["URL", "{other.url}"]'))
        assert ended.judged.judgement.evidence.users_hurt == 0
        assert len(other.asked) > 6
        assert len(app.asked) > 6


def test_users_think_longer_where_their_actions_alone_would_be_too_many() -> None:
    """One request an action at least."""
    assert bounded(UsersSpec(count=20, on_two_devices=0, think=0.1), 10).think == 2
    assert bounded(UsersSpec(count=20, on_two_devices=0, think=5), 10).think == 5
    assert bounded(UsersSpec(count=20, think=0.1), None).think == 0.1


def test_a_password_comes_from_a_file_and_is_in_no_record(
    app: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or from a variable; never from the scenario."""
    (tmp_path / "password.txt").write_text("hunter2-of-the-file\n")
    monkeypatch.setenv("SHOP_PASSWORD_FILE", str(tmp_path / "password.txt"))
    text = WATCHED.replace('user: "u{n}"', 'user: "{name}", password: "{env: SHOP_PASSWORD}"')
    ended = watch(app, tmp_path, text)
    assert ended.code == ExitCode.HELD, ended.lines
    assert app.passwords == {"hunter2-of-the-file"}
    files = [one for one in ended.folder.rglob("*") if one.is_file()]
    assert len(files) > 5
    assert not any(b"hunter2" in one.read_bytes() for one in files)
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2-of-the-variable")
    assert watch(app, tmp_path, text).code == ExitCode.HELD
    assert "hunter2-of-the-variable" in app.passwords


def test_a_command_that_hangs_is_ended(app: Deployment, tmp_path: Path) -> None:
    """After `within`, with the last line that it printed; nobody can tell whether anything was deployed."""
    hangs = """[sh, -c, "echo so far; exec sleep 600"], within: 3"""
    ended = watch(app, tmp_path, deploy=hangs)
    assert ended.code == ExitCode.COULD_NOT_TELL, ended.lines
    assert any("did not end within 3 s; its last line: so far" in one for one in ended.judged.judgement.reasons)
    [end] = [one for one in ReadRecord(ended.folder).events() if isinstance(one, CommandEnded)]
    assert end.why == "its 3 s were over"


def test_a_rate_that_users_do_not_reach_is_told(app: Deployment, tmp_path: Path) -> None:
    """With what they sent."""
    ended = watch(app, tmp_path, WATCHED.replace('urls: ["URL"]', 'urls: ["URL"], rate: 5000'))
    assert any(
        re.match(r"5000 requests a second: users sent [0-9.]+ ", one) for one in ended.judged.judgement.not_checked
    )


def test_a_second_run_does_not_meet_what_the_first_left(app: Deployment, tmp_path: Path) -> None:
    """The app stands, with all its accounts: each run has names of its own."""
    text = WATCHED.replace('user: "u{n}"', 'user: "{name}"')
    first, second = watch(app, tmp_path, text), watch(app, tmp_path, text)
    assert (first.code, second.code) == (ExitCode.HELD, ExitCode.HELD), second.lines
    assert len(app.notes) == 12
    for run in (first, second):
        document = ReadRecord(run.folder).document("environment.json")
        assert isinstance(document, dict)
        word = document["accounts"].removesuffix("...")
        accounts = ReadRecord(run.folder).document("accounts.json")
        assert accounts == sorted(name for name in app.notes if name.startswith(word))
        assert len(accounts) == 6


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("before", "after", "key", "what"),
    [
        ('["URL"]', "[]", "target.urls", "no door is given"),
        ('["URL"]', '["ftp://127.0.0.1:1"]', "target.urls[0]", "not a valid URL"),
        ('["URL"]', '["http://127.0.0.1:99999"]', "target.urls[0]", "not a valid URL"),
        ('["URL"]', '["http://127.0.0.1:1/app"]', "target.urls[0]", "more than a host and a port"),
        ('["URL"]', '["http://me:pw@127.0.0.1:1"]', "target.urls[0]", "more than a host and a port"),
        ('["URL"]', '["http://example.com"]', "target.urls[0]", "sends no load there"),
        ('["URL"]', '["http://8.8.8.8"]', "target.urls[0]", "sends no load there"),
        ('["URL"]', '["http://169.254.169.254"]', "target.urls[0]", "sends no load there"),
        ('["URL"]', '["http://10.0.0.1"]', "target.rate", "needed where the doors are not on this machine"),
        ('["URL"]', '["URL"], rate: 0', "target.rate", "must be from 0.1"),
        ("header: X-Version", 'header: "X Version"', "target.release.header", "not a valid header name"),
        ("get: /version", "get: version", "target.release.get", "not a valid path"),
        ("get: /version, ", "", "target.release", "either a header or a place"),
        ("}}", "}, replica: {}}", "target.replica", "either a header or a place"),
        ("}}", "}, replica: {header: A B}}", "target.replica.header", "not a valid header name"),
        ("}}", "}, tls: {ca: ca.pem}}", "target.tls", "no door is https"),
        ("}}", "}, evidence: {}}", "target.evidence", "exactly one of compose, swarm, command"),
        ("}}", "}, evidence: {compose: A/B}}", "target.evidence.compose", "not the name of a Compose project"),
        ("}}", "}, evidence: {swarm: a/b}}", "target.evidence.swarm", "not the name of a service"),
        ("}}", "}, evidence: {command: [no-such-program-here]}}", "target.evidence.command[0]", "no program"),
        ("}}", "}, token_header: X-Token}", "target.token_header", "no host is allowed"),
        ("get: /version, json: app.release", "", "enough.users_served_by_new", "nothing but the answers themselves"),
        ("name: watched", 'name: watched\ncluster: {release: "shop:v1"}', "target", "there is a cluster already"),
        ("name: watched", "name: watched\ndeployers: 2", "deployers", "deployed by its owner"),
        ("name: watched", f"name: watched\n{AUTOSCALE}", "autoscale", "scaled by its owner"),
        ("name: watched", "name: watched\non_stop: freeze", "on_stop", "nothing to undo"),
        ("name: watched", "name: watched\nstop_when: {serving_below: 1}", "stop_when.serving_below", "can't see"),
        *(
            ("name: watched", f"name: watched\npromises: {{{key}: {value}}}", f"promises.{key}", "target")
            for key, value in (
                ("serving_at_least", "1"),
                ("recovers_within", "5"),
                ("loses_at_most", "0"),
                ("rollout_within", "5"),
                ("tries_through_kills", "true"),
            )
        ),
        ("steps: [", 'steps: [{roll: {to: "shop:v2"}}, ', "steps[0].roll", "not something that the lab does"),
        ("steps: [", "steps: [{strike: {do: kill, to: a1}}, ", "steps[0].strike", "unless its owner offers it"),
        (
            "steps: [",
            "steps: [{together: [{settle: {for: 1}}, {pace: {think: 1}}]}, ",
            "steps[0].together[1].pace",
            "not something that the lab does",
        ),
        ("operations: 20", "strikes_that_hit: 1", "enough.strikes_that_hit", "no step strikes anything"),
        (RELEASE, "", "enough.users_served_by_new", "nobody knows which release"),
        ("{command: {run: DEPLOY}}, ", "", "enough.users_served_by_new", "no step brings a new release"),
        ("u{n}", "{env: NOT_SET_HERE}", "users.http.log_in[0]", "neither NOT_SET_HERE nor NOT_SET_HERE_FILE"),
        ("post: /login", 'post: "/{env: HOME}"', "users.http.log_in[0].path", "a secret would be in the record"),
        ('adds: "{new}"', 'adds: "{env: HOME}"', "users.http.act[0].adds", "a secret would be in the record"),
        ("run: DEPLOY", "run: [no-such-program-here]", "steps[1].command.run[0]", "no program"),
        ("run: DEPLOY", "run: [./deploy.sh]", "steps[1].command.run[0]", "there is no file ./deploy.sh"),
    ],
)
def test_what_makes_no_sense_of_a_target_is_refused(
    before: str, after: str, key: str, what: str, tmp_path: Path
) -> None:
    """With the key path; no host is asked anything for that."""
    assert before in WATCHED
    text = WATCHED.replace(before, after, 1).replace("DEPLOY", "[sh, -c, exit]").replace("URL", "http://127.0.0.1:1")
    with pytest.raises(UsageError) as raised:
        read_scenario(written(tmp_path, text))
    assert raised.value.at.endswith(f": {key}"), raised.value
    assert what in raised.value.what
    assert raised.value.hint


def test_the_shops_users_can_not_use_a_target(tmp_path: Path) -> None:
    """Nor is there a run of nothing at all."""
    at = "target: {urls: ['http://127.0.0.1:1']}\n"
    whole = "lab: 1\nname: n\ntitle: t\nsteps: [{settle: {for: 1}}]\n"
    with pytest.raises(UsageError, match="the shop's users can't use another app"):
        read_scenario(written(tmp_path, whole + at))
    with pytest.raises(UsageError, match="there is neither a cluster nor a target"):
        read_scenario(written(tmp_path, whole))


def test_a_program_of_ones_own_is_found_beside_the_scenario(tmp_path: Path) -> None:
    """Wherever the lab is called from, and within other steps too; and it must be one that may be run."""
    program = tmp_path / "deploy.sh"
    program.write_text("#!/bin/sh\n")
    inside = "{together: [{repeat: {for: 1, steps: [{command: {run: [./deploy.sh, v2]}}]}}]}"
    text = WATCHED.replace("{command: {run: DEPLOY}}", inside).replace("URL", "http://127.0.0.1:1")
    with pytest.raises(UsageError, match="may not be executed"):
        read_scenario(written(tmp_path, text))
    program.chmod(0o755)
    together = read_scenario(written(tmp_path, text)).steps[1].together
    assert together
    assert together[0].repeat
    [command] = [step.command for step in together[0].repeat.steps]
    assert command
    assert command.run == (str(program), "v2")


def test_a_program_that_is_a_link_is_called_by_its_own_name(app: Deployment, tmp_path: Path) -> None:
    """As the Python of a virtual environment, or a tool that looks at its name: what it links to is another program."""
    (tmp_path / "tools.sh").write_text('#!/bin/sh\necho "called as $0"\n')
    (tmp_path / "tools.sh").chmod(0o755)
    (tmp_path / "deploy").symlink_to("tools.sh")
    ended = watch(app, tmp_path, deploy="[./deploy]")
    [said] = [one.line for one in ReadRecord(ended.folder).events() if isinstance(one, CommandSaid)]
    assert said == f"called as {tmp_path}/deploy"


def test_a_door_that_does_not_answer_is_told_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2: no record is made, and the command is not run."""
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    with socket.socket() as deaf:  # bound, and nobody listens there
        deaf.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        path = written(tmp_path, WATCHED.replace("DEPLOY", "[touch, deployed]").replace("URL", url))
        with pytest.raises(UsageError, match="does not answer") as raised:
            run_scenarios(RunRequest(scenarios=(str(path),)), said.append)
    assert raised.value.exit_code == ExitCode.USAGE
    assert not (tmp_path / "deployed").exists()
    assert said == []


def test_only_a_target_is_watched() -> None:
    """A scenario that would make a cluster is run, not watched."""
    with pytest.raises(UsageError, match="has no target to watch"):
        run_scenarios(RunRequest(scenarios=("demo",), is_dry=True, only_targets=True), print)


def test_the_plan_of_a_watched_run_names_its_doors(tmp_path: Path) -> None:
    """And neither images nor replicas, for there are none; nothing is sent."""
    text = WATCHED.replace("DEPLOY", "[touch, deployed]").replace("URL", "http://127.0.0.1:1")
    said: list[str] = []
    request = RunRequest(scenarios=(str(written(tmp_path, text)),), is_dry=True, overrides=Overrides())
    assert run_scenarios(request, said.append) == ExitCode.HELD
    assert any("http://127.0.0.1:1" in line for line in said)
    assert not any("replicas" in line or "images" in line for line in said)
