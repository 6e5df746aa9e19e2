"""What surrounds the lab may be odd: each is told with its place and ends in 2, never as a fault of the lab."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli import run_command_line
from lab.errors import ExitCode, printable
from lab.machine.engine import try_connect


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["lesson", "--folder", "/dev/null", "list"], "--folder /dev/null: is not a folder"),
        (["lesson", "--folder", "/dev/null/x", "list"], "--folder /dev/null: is not a folder"),
        (["lesson", "--folder", "x" * 300, "list"], "is not a folder"),
        (["workshop", "pack", "/nope/x"], "/nope/x: no file can be made there"),
        (["workshop", "pack", "/"], "/: no file can be made there"),
        (["duel", "--think", "nan"], "--think: nan is not a valid number of seconds"),
        (["duel", "--think", "inf"], "--think: inf is not a valid number of seconds"),
        (["duel", "--users", "0"], "--users: 0 is not in the range"),
        (["run", "x" * 300], "no such scenario"),
        (["run", "/dev/zero", "--dry-run"], "/dev/zero"),
        (["run", "demo", "--dry-run", "--set", "cluster.zones={a: 1000000000}"], "--set cluster.zones.a: must be from"),
        (["down", "-p", ""], "--project: is empty"),
    ],
)
def test_it_is_told_with_its_place(argv: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And what to do."""
    assert run_command_line(argv) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert told in err
    assert "\n  try: " in err


@pytest.mark.parametrize("address", ["http://[", "tcp://", "nonsense", "http://\0", "http://h:99999"])
def test_an_engines_address_that_is_none_is_no_engine(address: str) -> None:
    """`lab doctor` and every verb then say that none answers."""
    assert try_connect(address, timeout=1) is None


def lab(*argv: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    code = f"import os, sys, shutil; {environment.pop('FIRST', 'pass')}; from lab.__main__ import main; main()"
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *argv],
        cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    """As after a `git clean` in another window."""
    done = lab("runs", cwd=tmp_path, FIRST="shutil.rmtree(os.getcwd())")
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert "the current folder is gone" in done.stderr


def test_a_terminal_of_ascii_alone_ends_no_command(tmp_path: Path) -> None:
    """What it can't show is shown by its number."""
    (tmp_path / "x.yaml").write_text(
        'lab: 1\nname: x\ntitle: "✓ ü"\ncluster: {release: "shop:v1"}\nsteps: []\n', encoding="utf-8"
    )
    done = lab("run", "x.yaml", "--dry-run", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "\\u2713 \\xfc" in done.stdout


def test_what_an_app_says_moves_no_cursor() -> None:
    """An answer in a story may hold anything."""
    assert printable("a\x1b[2J\x07\x9b\x7fb\tc\nd ✓") == "a\\u001b[2J\\u0007\\u009b\\u007fb\\tc\nd ✓"
