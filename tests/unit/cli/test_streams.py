"""Exit codes where nobody can be told, text that would steer a terminal, files that would stand in for the lab."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli.terminal import describe
from lab.errors import ExitCode, LabError, printable
from lab.run import deployer_processes
from tests.golden import unpack

pytestmark = pytest.mark.slow

LAB = [sys.executable, "-P", "-m", "lab"]
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


def lab(redirected: str, *argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`lab` as a shell runs it, its streams as they are redirected there."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirected}', "sh", *LAB, *argv],
        env={**os.environ, **NO_ENGINE, **variables},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack("demo-held", tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack("memory", tmp_path_factory.mktemp("runs"))


@needs_full
@pytest.mark.parametrize(
    ("argv", "redirected", "code"),
    [
        ("run nosuch.yaml", "2>/dev/full", ExitCode.USAGE),
        ("run nosuch.yaml", ">/dev/full 2>/dev/full", ExitCode.USAGE),
        ("run demo --sed 3", "2>/dev/full", ExitCode.USAGE),
        ("-v run nosuch.yaml", "2>/dev/full", ExitCode.USAGE),
        ("check HELD", "2>/dev/full", ExitCode.HELD),
        ("check HELD", ">/dev/full", ExitCode.COULD_NOT_TELL),
        ("check HELD", ">/dev/full 2>/dev/full", ExitCode.COULD_NOT_TELL),
        ("check BROKEN", "2>/dev/full", ExitCode.BROKEN),
        ("check BROKEN", ">/dev/full", ExitCode.COULD_NOT_TELL),
        ("check HELD --json", ">/dev/full", ExitCode.COULD_NOT_TELL),
        ("--help", ">/dev/full", ExitCode.COULD_NOT_TELL),
        ("--version", ">/dev/full", ExitCode.COULD_NOT_TELL),
        ("reference", ">/dev/full", ExitCode.COULD_NOT_TELL),
        ("doctor", ">/dev/full", ExitCode.COULD_NOT_TELL),
    ],
)
def test_a_full_disk_is_never_a_broken_promise(
    held: Path, broken: Path, argv: str, redirected: str, code: ExitCode
) -> None:
    """Python ends with 1 or 120 where it can't write."""
    records = {"HELD": str(held), "BROKEN": str(broken)}
    done = lab(redirected, *(records.get(one, one) for one in argv.split()))
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    if redirected == ">/dev/full":
        assert done.stderr == "lab: standard output: can't be written: No space left on device\n"


@pytest.mark.parametrize(
    ("argv", "redirected", "code"),
    [
        ("check HELD", ">&-", ExitCode.USAGE),
        ("check HELD", ">&- 2>&-", ExitCode.USAGE),
        ("check HELD", "2>&-", ExitCode.HELD),
        ("check HELD", "<&- 2>&-", ExitCode.HELD),
        ("run nosuch.yaml", "2>&-", ExitCode.USAGE),
        ("run nosuch.yaml", "<&- >&- 2>&-", ExitCode.USAGE),
    ],
)
def test_a_closed_stream_is_never_a_broken_promise(held: Path, argv: str, redirected: str, code: ExitCode) -> None:
    """What would be printed is not written into whatever file is opened next, and nothing runs unseen."""
    done = lab(redirected, *(str(held) if one == "HELD" else one for one in argv.split()))
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    if redirected == ">&-":
        assert "lab: standard output is closed\n" in done.stderr


def test_a_reader_that_left_is_told_nothing(held: Path) -> None:
    """`lab check RUN | head` could not tell, and does not complain."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "wb") as out:
        done = subprocess.run([*LAB, "check", str(held)], stdout=out, stderr=subprocess.PIPE, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (ExitCode.COULD_NOT_TELL, b"")


def test_what_a_stream_can_not_encode_is_escaped(held: Path) -> None:
    """The verdict's mark is none of ASCII's."""
    done = lab("", "check", str(held), PYTHONIOENCODING="ascii")
    assert done.returncode == ExitCode.HELD
    assert done.stdout.startswith("\\u2713 ")


@pytest.mark.parametrize(
    ("argv", "code"), [("run demo --dry-run", ExitCode.USAGE), ("runs", ExitCode.USAGE), ("--version", ExitCode.HELD)]
)
def test_a_current_folder_that_is_gone_is_told(tmp_path: Path, argv: str, code: ExitCode) -> None:
    """With its place; what needs none still answers."""
    gone = tmp_path / "gone"
    gone.mkdir()
    shell = ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *LAB, *argv.split()]
    done = subprocess.run(shell, cwd=gone, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert ("lab: .: the current folder is gone\n" in done.stderr) == (code == ExitCode.USAGE)


FORGED = "\x1b[2J\x1b[1;1H\nHELD every promise held\r\x9b31m\u202e"
LISTING = """
import sys
from pathlib import Path
from lab.cli import run_command_line
from lab.machine.places import Places
from lab.operate import records
here = Path(sys.argv[1])
records.find_places = lambda: Places(root=here, sources=here)
sys.exit(run_command_line(["runs"]))
"""


def test_a_record_can_not_steer_the_terminal(held: Path, tmp_path: Path) -> None:
    """Nor forge a line: what it says is on its own line, with escapes."""
    folder = tmp_path / "runs" / held.name
    shutil.copytree(held, folder)
    document = json.loads((folder / "scenario.json").read_text())
    (folder / "scenario.json").write_text(json.dumps(document | {"title": FORGED}))
    (folder / "verdict.json").write_text(json.dumps({"verdict": FORGED}))
    began = {"kind": "trouble", "at": 1, "what": FORGED}
    with (folder / "events.jsonl").open("a") as events:
        events.write(json.dumps(began) + "\n")
    listing = [sys.executable, "-P", "-c", LISTING, str(tmp_path)]
    listed = subprocess.run(listing, capture_output=True, check=False, timeout=60)
    checked = subprocess.run([*LAB, "check", str(folder)], capture_output=True, check=False, timeout=60)
    assert (listed.returncode, checked.returncode) == (ExitCode.HELD, ExitCode.COULD_NOT_TELL)
    for said in (listed.stdout, listed.stderr, checked.stdout, checked.stderr):
        for raw in (b"\x1b", b"\r", "\x9b".encode(), "\u202e".encode(), b"\nHELD"):
            assert raw not in said
    assert rb"\u001b[2J\u001b[1;1H\nHELD every promise held\r\u009b31m\u202e" in listed.stdout
    assert rb"COULD NOT TELL   \u001b[2J\u001b[1;1H HELD every promise held" in checked.stdout
    assert listed.stdout.count(b"\n") == 1


def test_an_error_quotes_lines_without_letting_them_pass_for_its_own() -> None:
    """Lines of what is quoted are indented, those of a hint one under another; a place is one line."""
    error = LabError("failed:\n✓ all held\x1b[1m", at="a\nlab: b", hint="one\ntwo")
    assert describe(error) == "lab: a\\nlab: b: failed:\n  ✓ all held\\u001b[1m\n  try: one\n       two"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ✓ é 東 \u00a0", "plain ✓ é 東 \u00a0"),
        ("a\nb", "a\nb"),
        ("\x7f\x00\t", "\\u007f\\u0000\\t"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\udb40\\udc41"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    """In JSON's way, so that JSON stays JSON."""
    assert printable(text) == shown


@pytest.mark.parametrize("shadow", ["lab.py", "click.py", "msgspec.py"])
def test_a_file_of_the_current_folder_is_not_taken_for_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shadow: str
) -> None:
    """By no deployer that a run starts: it runs where the run was called."""
    (tmp_path / shadow).write_text("raise SystemExit('the wrong file was run')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE["DOCKER_HOST"])
    deployer = deployer_processes.DeployerProcess("lab-shadowed", lambda _: None)
    deployer._process.wait(60)
    with pytest.raises(LabError) as ended:
        deployer.check()
    deployer.end()
    assert "the wrong file" not in str(ended.value)
    assert "lab: " in str(ended.value)  # it came as far as looking for an engine


def test_python_m_lab_leaves_the_current_folder_out(tmp_path: Path) -> None:
    """As far as the package itself is found: its libraries are never those of the folder it is called in."""
    for name in ("click.py", "msgspec.py", "yaml.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong file was run')")
    argv = [sys.executable, "-m", "lab", "run", "demo", "--dry-run"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
