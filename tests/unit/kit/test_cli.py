"""The command line where nothing is started: what it takes from the environment, and what it refuses."""

from __future__ import annotations

import pytest

from lab.cli import build_parser


@pytest.mark.parametrize(
    ("variables", "line", "name", "value"),
    [
        ({"LAB_JSON": "1"}, "report RUN", "formats", ["json"]),
        ({"LAB_HTML": "yes", "LAB_JSON": "0", "LAB_MARKDOWN": "1"}, "report RUN", "formats", ["html", "markdown"]),
        ({"LAB_HTML": "1"}, "report RUN --json", "formats", ["html", "json"]),
        ({"LAB_JSON": "0"}, "report RUN", "formats", None),
        ({"LAB_JSON": "1"}, "check RUN", "json", True),
        ({"LAB_PEEK": "1"}, "lesson solution 3", "peek", True),
        ({"LAB_SEED": "7"}, "lesson check", "seed", 7),
        ({"LAB_SEED": "7"}, "lesson check --seed 8", "seed", 8),
        ({"LAB_FOLDER": "here"}, "lesson list", "folder", "here"),
        ({"LAB_SEED": "7"}, "run demo", "seed", 7),
        ({"LAB_SEED": "7"}, "--color never run demo", "seed", 7),
        ({"LAB_COLOR": "never"}, "run demo", "color", "never"),
        ({"LAB_SET": "users.count=3 title='a b'"}, "run demo", "set", ["users.count=3", "title=a b"]),
        ({"LAB_ORDER": "zone"}, "status", "project", None),
        ({"LAB_SURGE": "much"}, "status", "project", None),
    ],
)
def test_an_option_may_be_given_as_a_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], line: str, name: str, value: object
) -> None:
    """To the verb and the act that are chosen, wherever they stand; the command line says it louder."""
    for variable, text in variables.items():
        monkeypatch.setenv(variable, text)
    assert getattr(build_parser().parse_args(line.split()), name) == value


@pytest.mark.parametrize(
    ("variable", "text", "line"),
    [
        ("LAB_SEED", "abc", "lesson check"),
        ("LAB_SEED", "abc", "--color never run demo"),
        ("LAB_PEEK", "perhaps", "lesson solution"),
        ("LAB_COLOR", "green", "runs"),
    ],
)
def test_a_variable_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, text: str, line: str
) -> None:
    """By its name, as the option would be."""
    monkeypatch.setenv(variable, text)
    with pytest.raises(SystemExit) as refused:
        build_parser().parse_args(line.split())
    assert refused.value.code == 2
    assert f"{variable}={text}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["ui RUN --port", "run demo --port", "run demo --ui-port", "up --port", "repeat RUN --port"]
)
@pytest.mark.parametrize("port", ["99999", "65536", "-5", "1e3", "http"])
def test_what_is_no_port_is_refused(capsys: pytest.CaptureFixture[str], line: str, port: str) -> None:
    """Before anything is looked for or started."""
    with pytest.raises(SystemExit) as refused:
        build_parser().parse_args([*line.split(), port])
    assert refused.value.code == 2
    assert f"{port} is no port from 0 to 65535" in capsys.readouterr().err
    assert build_parser().parse_args([*line.split(), "65535"])
