"""A command of somebody's own: heard line by line, its end told once, and nothing of it left, however that comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from lab import record
from lab.retry import wait_until
from lab.run.command_process import MOST_LINES, CommandProcess

pytestmark = pytest.mark.slow

Told = list[record.AnyEvent]


@pytest.fixture
def told() -> Told:
    return []


def run(told: Told, *argv: str) -> CommandProcess:
    command = CommandProcess(argv, told.append, number=1)
    command.start()
    return command


def finish(command: CommandProcess) -> None:
    wait_until("it has ended", lambda: command.is_over, within=60, every=0.02)
    command.end()


def ends(told: Told) -> list[record.CommandEnded]:
    return [one for one in told if isinstance(one, record.CommandEnded)]


def lines(told: Told) -> list[tuple[str, bool]]:
    return [(one.line, one.is_error) for one in told if isinstance(one, record.CommandSaid)]


def test_its_lines_and_its_code_are_told(told: Told) -> None:
    """Both outputs, without a shell: what looks like one is an argument."""
    finish(
        run(
            told,
            sys.executable,
            "-c",
            "import sys; print(sys.argv[1]); print('no', file=sys.stderr); sys.exit(3)",
            "a; b",
        )
    )
    assert isinstance(told[0], record.CommandBegan)
    assert sorted(lines(told)) == [("a; b", False), ("no", True)]
    [end] = ends(told)
    assert (end.code, end.why, end.has_failed) == (3, "", True)


def test_one_that_does_not_exist_says_why(told: Told) -> None:
    """And is over at once."""
    finish(run(told, "/nonexistent/deploy.sh"))
    [end] = ends(told)
    assert (end.code, end.why) == (None, "No such file or directory")


def test_one_that_is_killed_tells_the_signal(told: Told) -> None:
    """As the system says it: negative."""
    finish(run(told, "sh", "-c", "kill -9 $$"))
    assert [end.code for end in ends(told)] == [-9]


def test_a_flood_is_counted_and_not_kept(told: Told) -> None:
    """Neither many lines nor one without an end fill the record."""
    script = f"import sys\nfor n in range({MOST_LINES + 50}): print(n)\nsys.stdout.write('x' * 3_000_000)"
    finish(run(told, sys.executable, "-c", script))
    assert len(lines(told)) == MOST_LINES
    assert all(len(line) <= 2000 for line, _ in lines(told))
    [end] = ends(told)
    assert end.code == 0


BACKGROUND = """
    import os, sys, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            print(os.getpid(), flush=True)
            import signal
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True: time.sleep(1)
        os._exit(0)
    os.wait()
    {then}
"""
"""A daemon that ignores SIGTERM, in a session of its own; its parent goes on with `then`."""


def daemon_of(told: Told) -> int:
    return int(wait_until("the daemon says who it is", lambda: lines(told), within=20, every=0.02)[0][0])


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("then", ["pass", "time.sleep(600)"], ids=["it ended", "it hangs"])
def test_what_went_into_the_background_is_ended_too(told: Told, then: str) -> None:
    """Also a daemon that made itself a session and minds no signal."""
    command = run(told, sys.executable, "-c", textwrap.dedent(BACKGROUND.format(then=then)))
    daemon = daemon_of(told)
    if then == "pass":
        wait_until("the command has ended", lambda: command.is_over, within=20, every=0.02)
        assert not is_gone(daemon)
    command.end("its time is over")
    assert is_gone(daemon)
    [end] = ends(told)
    assert (end.code, end.why) == ((0, "") if then == "pass" else (None, "its time is over"))


def test_nothing_is_left_where_the_lab_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves it no chance to be tidy: the guardian sees its input end."""
    pids = tmp_path / "pids"
    deploy = f"import os, time; open({str(pids)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    lab = textwrap.dedent(f"""
        import sys, time
        from lab.run.command_process import CommandProcess
        CommandProcess([sys.executable, "-c", {deploy!r}], lambda _: None, number=1).start()
        time.sleep(600)
    """)
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen([sys.executable, "-c", lab], cwd=root) as process:
        pid = int(wait_until("it runs", lambda: pids.read_text() if pids.exists() else "", within=30, every=0.05))
        os.kill(process.pid, signal.SIGKILL)
    gone: Callable[[], bool] = lambda: is_gone(pid)  # noqa: E731
    wait_until("it is gone", gone, within=20, every=0.05)
