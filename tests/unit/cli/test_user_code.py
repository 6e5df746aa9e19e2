"""Code of one's own that ends the process: its exit code never becomes the lab's."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from lab.cli import root, run_command_line
from lab.errors import ExitCode, UsageError
from lab.operate.runs import troubles_recorded
from lab.record import ReadRecord, RunRecord, Trouble
from lab.users.loading import load_journey


@pytest.mark.parametrize("ending", ["sys.exit(0)", "sys.exit(1)", "sys.exit('text')", "raise SystemExit", "exit(3)"])
def test_a_verb_that_is_ended_from_within_could_not_tell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, ending: str
) -> None:
    """With file and line of whoever ended it."""
    file = tmp_path / "hook.py"
    file.write_text(f"import sys\n\n\ndef hook(**_):\n    {ending}\n")
    names: dict[str, Any] = {"exit": sys.exit}
    exec(compile(file.read_text(), str(file), "exec"), names)  # noqa: S102 -- as the lab loads a hook
    monkeypatch.setattr(root.commands["runs"], "callback", names["hook"])
    assert run_command_line(["runs"]) == ExitCode.COULD_NOT_TELL
    assert f"lab: {file}:5: ended the process: sys.exit(" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["import sys; sys.exit(0)", "import unittest; unittest.main(argv=['x'])"])
def test_a_journey_file_that_ends_the_process_is_refused(tmp_path: Path, ending: str) -> None:
    """Where it did, before anything is started."""
    file = tmp_path / "mine.py"
    file.write_text(f"# a journey\n{ending}\n")
    with pytest.raises(UsageError, match=r"can't be loaded: ended the process: sys\.exit\(") as refused:
        load_journey(f"{file}:Shopper")
    assert refused.value.at == f"{file}:2"


def test_ctrl_c_is_not_taken_for_a_journeys_own_doing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Python raises it in whatever runs; only where somebody else takes the signal it is the file's own."""
    file = tmp_path / "mine.py"
    file.write_text("# a journey\nraise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_journey(f"{file}:Shopper")
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_IGN)
    with pytest.raises(UsageError, match="can't be loaded: KeyboardInterrupt") as refused:
        load_journey(f"{file}:Shopper")
    assert refused.value.at == f"{file}:2"


def _exit() -> None:
    sys.exit(0)


def test_a_run_that_user_code_ends_is_judged_all_the_same(tmp_path: Path) -> None:
    """The record says who ended it, and the verdict is could not tell."""
    with RunRecord(tmp_path / "run") as run_record:
        with troubles_recorded(run_record):
            _exit()
        run_record.flush()
        (trouble,) = ReadRecord(tmp_path / "run").events()
    assert isinstance(trouble, Trouble)
    assert trouble.what.startswith(f"{__file__}:")
    assert trouble.what.endswith("ended the process: sys.exit(0)")


def test_an_internal_error_is_no_broken_promise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault of the lab is 4, with where to look; a traceback only if asked for."""

    def fail(**_: object) -> int:
        click.echo("so far so good")
        raise KeyError("x")

    monkeypatch.setattr(root.commands["runs"], "callback", fail)
    assert run_command_line(["runs"]) == ExitCode.COULD_NOT_TELL
    assert capsys.readouterr().err == "lab: internal error: KeyError: 'x'\n  try: lab -v ...   # shows where\n"
    assert run_command_line(["-v", "runs"]) == ExitCode.COULD_NOT_TELL
    assert "Traceback (most recent call last)" in capsys.readouterr().err
