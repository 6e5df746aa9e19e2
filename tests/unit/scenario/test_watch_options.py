"""What a command line says of a deployment to watch, as a scenario."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from lab.cli import run_command_line
from lab.errors import ExitCode, UsageError
from lab.scenario.spec import Scenario
from lab.scenario.target_spec import AnswerSource, EvidenceSpec, ReleaseSource, TlsSpec
from lab.scenario.watch_options import WatchOptions, typed, watch_scenario

JOURNEY = """
from lab import Journey
class Visitor(Journey):
    def log_in(self, http): ...
    def act(self, http): ...
    def state(self, http): ...
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "journey.py").write_text(JOURNEY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options(**more: Any) -> WatchOptions:
    usual: dict[str, Any] = {"urls": ("http://127.0.0.1:8080",), "journey": "journey.py:Visitor", "command": ("true",)}
    return WatchOptions(**{**usual, **more})


def read(**more: Any) -> Scenario:
    return watch_scenario(options(**more))


def test_a_command_is_run_between_two_rests(here: Path) -> None:
    """Each of its defaults can be given another value; the journey lies here."""
    scenario = read(command=("true", "v2"), users=7, rate=30.0, before=1.0, after=2.0, within=9.0)
    assert scenario.users.count == 7
    assert scenario.users.journey == f"{here}/journey.py:Visitor"
    assert scenario.target
    assert scenario.target.rate == 30
    first, command, last = scenario.steps
    assert first.settle
    assert last.settle
    assert command.command
    assert (first.settle.seconds, command.command.run, last.settle.seconds) == (1, ("true", "v2"), 2)
    assert command.command.within == 9
    assert (scenario.enough.operations, scenario.enough.checks) == (70, 7)


def test_where_the_parts_of_an_answer_stand(here: Path) -> None:
    """By header, by JSON, and by a page that tells the release."""
    (here / "see").touch(mode=0o755)
    found = read(
        release_from=("header:X-Release", "get:/version#app.release"),
        replica_from="json:meta.replica",
        evidence="command:./see shop --all",
    ).target
    assert found
    assert found.release == ReleaseSource(header="X-Release", get="/version", json="app.release")
    assert found.replica == AnswerSource(json="meta.replica")
    assert found.evidence == EvidenceSpec(command=(f"{here}/see", "shop", "--all"))
    (here / "ca.pem").touch()
    secure = read(
        urls=("https://127.0.0.1:8443",), ca="ca.pem", release_from=("get:/version",), evidence="compose:shop"
    )
    assert secure.target
    assert secure.target.tls == TlsSpec(ca=f"{here}/ca.pem")
    assert secure.target.evidence == EvidenceSpec(compose="shop")


def test_whoever_is_served_by_the_new_release_counts_only_where_that_can_be_known(here: Path) -> None:
    """By two signs."""
    assert here
    assert read().enough.users_served_by_new == 0
    assert read(release_from=("header:X",)).enough.users_served_by_new == 0
    assert read(release_from=("get:/version",)).enough.users_served_by_new == 0
    assert read(release_from=("header:X", "get:/version")).enough.users_served_by_new == 20
    assert read(release_from=("header:X",), evidence="compose:shop").enough.users_served_by_new == 20


def test_any_other_key_can_be_set(here: Path) -> None:
    """And is told as such where it is wrong."""
    assert here
    assert watch_scenario(options(), [("users.think", 2)]).users.think == 2
    with pytest.raises(UsageError) as raised:
        watch_scenario(options(), [("users.think", 0)])
    assert raised.value.at == "--set users.think"


@pytest.mark.parametrize(
    ("more", "at", "what"),
    [
        ({"urls": ("http://example.com",)}, "--url", "sends no load there"),
        ({"urls": ("nonsense",)}, "--url", "not a valid URL"),
        ({"urls": ("http://10.0.0.1",)}, "--rate", "needed where the doors"),
        ({"rate": 0.0}, "--rate", "must be from 0.1"),
        ({"journey": "nowhere.py:Visitor"}, "--journey", "there is no file nowhere.py"),
        ({"command": ("no-such-program-here",)}, "the command", "no program"),
        ({"command": ("./deploy.sh",)}, "the command", "there is no file ./deploy.sh"),
        ({"within": 0.0}, "--within", "must be"),
        ({"ca": "nowhere.pem", "urls": ("https://127.0.0.1",)}, "--ca", "there is no file nowhere.pem"),
        ({"ca": "journey.py"}, "--ca", "no door is https"),
        ({"release_from": ("X-Release",)}, "--release-from X-Release", "is not header:..., json:..., get:..."),
        ({"release_from": ("header:A B",)}, "--release-from", "not a valid header name"),
        ({"release_from": ("header:A", "header:B")}, "--release-from header:B", "says twice"),
        ({"replica_from": "get:/version"}, "--replica-from get:/version", "is not header:..., json:..."),
        ({"evidence": "kubernetes:shop"}, "--evidence kubernetes:shop", "is not compose:PROJECT, swarm:SERVICE or"),
        ({"evidence": "compose:A/B"}, "--evidence", "not the name of a Compose project"),
        ({"token_header": "X-Token"}, "--token-header", "no host is allowed"),
    ],
)
def test_what_is_wrong_is_told_by_its_option(here: Path, more: dict[str, Any], at: str, what: str) -> None:
    """No host is asked anything for that."""
    assert here
    with pytest.raises(UsageError) as raised:
        read(**more)
    assert (raised.value.at, what in raised.value.what) == (at, True), raised.value
    assert raised.value.hint


def test_what_was_typed_is_told_for_the_next_time() -> None:
    """Only what is not so by default; as a shell reads it."""
    line = typed(options(rate=5.0, release_from=("header:X",), command=("./deploy.sh", "v 2"), users=20))
    assert shlex.split(line) == [
        *("lab", "watch", "--url", "http://127.0.0.1:8080", "--journey", "journey.py:Visitor"),
        *("--rate", "5", "--release-from", "header:X", "--", "./deploy.sh", "v 2"),
    ]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["watch"], "there is nothing to watch"),
        (["watch", "--rate", "5", "lab.yaml"], "is for a deployment that --url names"),
        (["watch", "--url", "http://127.0.0.1:1", "--", "true"], "nobody uses it: there is no journey"),
    ],
)
def test_what_is_typed_must_make_sense(words: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Either a file or a door."""
    assert run_command_line(words) == ExitCode.USAGE
    assert what in capsys.readouterr().err


def test_the_plan_is_told_and_nothing_is_done(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No door is asked, and the command is not run."""
    words = "watch --url http://127.0.0.1:1 --journey journey.py:Visitor --rate 5 --dry-run -- touch deployed"
    assert run_command_line(words.split()) == ExitCode.HELD
    said = capsys.readouterr().out
    assert "http://127.0.0.1:1" in said
    assert "touch, deployed" in said
    assert not (here / "deployed").exists()
