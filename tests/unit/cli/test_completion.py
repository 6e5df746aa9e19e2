"""What a shell is told may follow: verbs, options, scenarios, runs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lab.cli import run_command_line
from lab.cli.machine import COMPLETE, SHELLS
from lab.console import reports
from lab.errors import ExitCode
from lab.machine.places import Places


def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str) -> list[str]:
    """What may follow, as bash's script asks for it: "kind,word" for each."""
    monkeypatch.setenv(COMPLETE, "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    assert run_command_line([]) == ExitCode.HELD
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lab he", ["plain,heal"]),
        ("lab lesson so", ["plain,solution"]),
        ("lab run demo --dr", ["plain,--dry-run"]),
        ("lab run zone", ["plain,zone-loss", "file,zone"]),
        ("lab run demo edge", ["plain,edge-loss", "file,edge"]),
        ("lab roll shop:v2 --strategy ca", ["plain,canary"]),
        ("lab completion f", ["plain,fish"]),
    ],
)
def test_a_shell_is_told_what_may_follow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, words: list[str]
) -> None:
    """Nothing is started meanwhile, and files stay possible where they are."""
    assert complete(monkeypatch, capsys, line) == words


@pytest.mark.parametrize("verb", ["check", "report", "ui", "repeat", "shrink"])
def test_recorded_runs_are_among_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, verb: str
) -> None:
    """The newest first."""
    for name in ("20260101-000000-aaaa", "20260102-000000-bbbb", "20270101-000000-cccc"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    monkeypatch.setattr(reports, "find_places", lambda: Places(root=tmp_path, sources=tmp_path))
    words = ["plain,20260102-000000-bbbb", "plain,20260101-000000-aaaa", "dir,2026"]
    assert complete(monkeypatch, capsys, f"lab {verb} 2026") == words


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_its_script(capsys: pytest.CaptureFixture[str], tmp_path: Path, shell: str) -> None:
    """One that asks by the lab's variable, and that the shell itself can read where it is here."""
    assert run_command_line(["completion", shell]) == ExitCode.HELD
    script = capsys.readouterr().out
    assert f"{COMPLETE}={shell}_complete" in script
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        subprocess.run([shell, "-n", "script"], cwd=tmp_path, check=True)


def test_an_unknown_question_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 would say that a promise was broken."""
    monkeypatch.setenv(COMPLETE, "csh_complete")
    assert run_command_line([]) == ExitCode.USAGE
