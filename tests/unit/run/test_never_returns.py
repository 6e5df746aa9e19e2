"""A journey that never returns: the run ends all the same, with the line, and so does the process."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import ExitCode
from lab.retry import wait_until
from tests.unit.run.watched import deployment

JOURNEY = """
from pathlib import Path
from lab import Journey


class Writer(Journey):
    def begin(self):
        return {"notes": []}

    def log_in(self, http):
        http.post("/login", form={"user": self.name}, expect=204)

    def act(self, http):
        self.state(http)
        Path("spins").touch()
        while True:
            pass

    def state(self, http):
        return {"notes": http.get("/notes").json()["items"]}
"""
LAB = """
import sys
from lab.users import loop_thread
from lab.__main__ import main
loop_thread.END_WITHIN = float(sys.argv.pop(1))
main()
"""


def watching(folder: Path, url: str, *, ends_within: float, seconds: float) -> subprocess.Popen[str]:
    """A run on its way, whose users' thread is given so long to come back."""
    (folder / "mine.py").write_text(JOURNEY)
    asked = ["watch", "--url", url, "--journey", "mine.py:Writer", "--users", "6", "--before", str(seconds)]
    return subprocess.Popen(
        [sys.executable, "-c", LAB, str(ends_within), *asked, "--", "true"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_a_run_whose_journey_never_returns_ends_with_its_line(tmp_path: Path) -> None:
    """It went on for ever, and its time limit was none."""
    with deployment() as app, watching(tmp_path, app.url, ends_within=1, seconds=60) as lab:
        said, _ = lab.communicate(timeout=40)
    assert lab.returncode == ExitCode.COULD_NOT_TELL, said
    assert f"journey: {tmp_path / 'mine.py'}:" in said
    assert " did not return" in said


@pytest.mark.slow
def test_who_stops_such_a_run_is_told_where_it_was(tmp_path: Path) -> None:
    """The process used to end by a segmentation fault, when Python took down the stack that was still in use."""
    with deployment() as app, watching(tmp_path, app.url, ends_within=3, seconds=60) as lab:
        wait_until("the journey spins", (tmp_path / "spins").exists, within=30)
        lab.send_signal(signal.SIGTERM)
        said, _ = lab.communicate(timeout=40)
    assert lab.returncode == ExitCode.TERMINATED, said
    assert f"{tmp_path / 'mine.py'}:" in said
    assert " did not return" in said
