"""The command line where nothing is started: what it takes from the environment, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import pytest

from lab.cli import root, run_command_line
from lab.cli.parser import variable_of
from lab.errors import ExitCode


def commands(group: click.Group = root, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Each verb and each act, by what a person types."""
    for name, command in group.commands.items():
        yield f"{before}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the verb of a line was called with, its group's options and the lab's own among it; nothing is done."""
    seen: dict[str, Any] = {}

    def note(*_: object, **__: object) -> int:
        context = click.get_current_context(silent=True)
        while context is not None:
            seen.update({**context.params, **seen})
            context = context.parent
        return 0

    for _, command in commands():
        if not isinstance(command, click.Group):
            monkeypatch.setattr(command, "callback", note)
    return seen


@pytest.mark.parametrize(
    ("variables", "line", "name", "value"),
    [
        ({"LAB_JSON": "1"}, "report RUN", "json", True),
        ({"LAB_JSON": "0", "LAB_MARKDOWN": "1"}, "report RUN", "json", False),
        ({"LAB_JSON": "0", "LAB_MARKDOWN": "yes"}, "report RUN", "markdown", True),
        ({"LAB_HTML": "1"}, "report RUN --json", "html", True),
        ({"LAB_JSON": "1"}, "check RUN", "as_json", True),
        ({"LAB_PEEK": "1"}, "lesson solution 3", "peek", True),
        ({"LAB_SEED": "7"}, "lesson check", "seed", 7),
        ({"LAB_SEED": "7"}, "lesson check --seed 8", "seed", 8),
        ({"LAB_SEED": ""}, "lesson check", "seed", None),
        ({"LAB_FOLDER": "here"}, "lesson list", "folder", "here"),
        ({"LAB_WORKSHOP": "there"}, "lesson list", "folder", "there"),
        ({"LAB_SEED": "7"}, "run demo", "seed", 7),
        ({"LAB_SEED": "7"}, "--color never run demo", "seed", 7),
        ({"LAB_COLOR": "never"}, "run demo", "color", "never"),
        ({"LAB_SET": "users.count=3 title='a b'"}, "run demo", "changes", ("users.count=3", "title=a b")),
        ({"LAB_AT": "ready moved"}, "sweep", "at", ("ready", "moved")),
        ({"LAB_FOR": "3"}, "kill a1", "seconds", 3.0),
        ({"LAB_ORDER": "zone"}, "status", "project", None),
        ({"LAB_SURGE": "much"}, "status", "project", None),
    ],
)
def test_an_option_may_be_given_as_a_variable(
    monkeypatch: pytest.MonkeyPatch,
    called: dict[str, Any],
    variables: dict[str, str],
    line: str,
    name: str,
    value: object,
) -> None:
    """To the verb and the act that are chosen, wherever they stand; the command line says it louder."""
    for variable, text in variables.items():
        monkeypatch.setenv(variable, text)
    assert run_command_line(line.split()) == 0
    assert called[name] == value


@pytest.mark.parametrize(
    ("variable", "text", "line"),
    [
        ("LAB_SEED", "abc", "lesson check"),
        ("LAB_SEED", "abc", "--color never run demo"),
        ("LAB_PEEK", "perhaps", "lesson solution"),
        ("LAB_COLOR", "green", "runs"),
        ("LAB_PORT", "http", "up"),
        ("LAB_SET", "title='a", "run demo"),
    ],
)
def test_a_variable_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, text: str, line: str
) -> None:
    """By its name, as the option would be."""
    monkeypatch.setenv(variable, text)
    assert run_command_line(line.split()) == ExitCode.USAGE
    assert f"lab: {variable}={text}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "line", "names"),
    [
        ({"LAB_YES": "1", "LAB_ALL": "1"}, "clean", {"yes": False, "everything": False}),
        ({"LAB_OVER": "1"}, "halt", {"over": False}),
        ({"LAB_AT_ONCE": "9", "LAB_LEAST_SERVING": "0"}, "kill a1", {"at_once": 1, "least_serving": 1}),
    ],
)
def test_consent_is_never_taken_from_a_variable(
    monkeypatch: pytest.MonkeyPatch,
    called: dict[str, Any],
    variables: dict[str, str],
    line: str,
    names: dict[str, object],
) -> None:
    """`LAB_YES=1 LAB_ALL=1 lab clean` removed everything, whoever had set those."""
    for variable, text in variables.items():
        monkeypatch.setenv(variable, text)
    assert run_command_line(line.split()) == 0
    assert {name: called[name] for name in names} == names


def test_every_other_option_has_a_variable() -> None:
    """Those without one are the consent and the scope of what can't be undone."""
    without = {
        f"{name} {one.opts[-1]}"
        for name, command in commands()
        for one in command.params
        if isinstance(one, click.Option) and variable_of(one) is None
    }
    strikes = {"kill", "freeze", "slow", "cut", "lose-zone"}
    limits = {f"{verb} {one}" for verb in strikes for one in ("--at-once", "--least-serving")}
    agreed = {"clean --all", "clean --yes", "down --yes", "halt --over", "up --init", "run --init", "watch --strike"}
    assert without == agreed | limits


def test_no_option_may_be_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    """What `--d` means today may be another option's tomorrow; the whole name is offered instead."""
    for name, command in commands():
        known = {spelled for one in command.params if isinstance(one, click.Option) for spelled in one.opts}
        for spelled in (one for one in known if one.startswith("--") and one[:-1] not in known):
            assert run_command_line([*name.split(), spelled[:-1]]) == ExitCode.USAGE, spelled
            said = capsys.readouterr().err
            assert f"lab: {spelled[:-1]}: no such option\n" in said
            assert spelled in said.partition("did you mean ")[2], said


def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """With each of its options, at `-h` as at `--help`, whatever the environment holds."""
    for name, command in commands():
        for asked in ("-h", "--help"):
            assert run_command_line([*name.split(), asked]) == ExitCode.HELD
        said = capsys.readouterr().out
        assert said.startswith(f"Usage: lab {name} ")
        for one in command.params:
            assert (one.opts[-1] if isinstance(one, click.Option) else one.human_readable_name) in said
            assert getattr(one, "help", None), f"{name} {one.name}"


def test_help_lists_every_verb_under_what_a_person_is_after(capsys: pytest.CaptureFixture[str]) -> None:
    """Each once; and without a verb the same, which is no success."""
    assert run_command_line(["--help"]) == ExitCode.HELD
    said = capsys.readouterr().out
    assert sorted(name for names in root.sections.values() for name in names) == sorted(root.commands)
    for title in root.sections:
        assert f"\n{title}:\n" in said
    assert run_command_line([]) == ExitCode.USAGE
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rnu demo", "lab rnu: no such verb\n  try: did you mean lab run"),
        ("lesson chekc", "lab lesson chekc: no such verb\n  try: did you mean lab lesson check"),
        ("run dmeo", "dmeo: no such scenario\n  try: did you mean demo? lab run canary | "),
        ("run", "lab run: SCENARIO is missing\n  try: lab run --help"),
        ("run demo --seed -1", "--seed: -1 is not in the range"),
        ("lesson check --seed 99999999999999999999", "--seed: 99999999999999999999 is not in the range"),
        ("check /", "/: holds no record of a run\n  try: lab runs"),
        ("run demo --seed", "--seed: requires an argument"),
        ("down all", "lab down: got unexpected extra argument (all)"),
        ("roll shop:v2 --strategy blue", "--strategy: 'blue' is not one of 'rolling'"),
        ("roll shop:v2 --shares a,b", "--shares: a,b is not a list of numbers"),
        ("status -p ..", "--project: .. is not a valid name"),
        ("duel --think nan", "--think: nan is not a valid number of seconds"),
        ("lesson dev-check --seeds 0", "--seeds: 0 is not in the range x>=1"),
        ("kill a1 --any", "a1: is named, and --any asks for one drawn at random"),
        ("lesson wheel --check --sheet", "only one of --guess, --check and --sheet"),
        ("scale a", "a: is not ZONE=COUNT"),
        ("scale a=²", "a=²: is not ZONE=COUNT"),
        ("completion csh", "SHELL: 'csh' is not one of 'bash', 'zsh', 'fish'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_what_was_meant(
    capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    """And nothing is started."""
    assert run_command_line(line.split()) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert told.startswith("lab: ")
    assert said in told


@pytest.mark.parametrize("verb", ["up", "down", "status", "kill", "heal", "roll shop:v2", "lock", "deployer"])
def test_an_empty_project_is_refused(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """`lab down -p "$UNSET"` must not take this checkout's own cluster down."""
    assert run_command_line([*verb.split(), "-p", ""]) == ExitCode.USAGE
    assert "lab: --project: is empty\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["ui RUN --port", "run demo --port", "run demo --ui-port", "up --port", "repeat RUN --port"]
)
@pytest.mark.parametrize("port", ["99999", "65536", "-5", "1e3", "http", "²", "9" * 5000])
def test_what_is_no_port_is_refused(
    capsys: pytest.CaptureFixture[str], called: dict[str, Any], line: str, port: str
) -> None:
    """Before anything is looked for or started."""
    assert run_command_line([*line.split(), port]) == ExitCode.USAGE
    assert f"{port} is not a valid port (0-65535)" in capsys.readouterr().err
    assert called == {}
    assert run_command_line([*line.split(), "65535"]) == ExitCode.HELD
    assert 65535 in called.values()


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """As its metadata says."""
    assert run_command_line(["--version"]) == ExitCode.HELD
    assert capsys.readouterr().out == "lab 0.1.0\n"
