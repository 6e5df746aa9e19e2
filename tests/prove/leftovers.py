"""What runs leave behind: `python -m tests.prove.leftovers [RUNS]`, 50 unless said; 1 where anything stays.

Jobs that are cancelled (SIGTERM, SIGKILL after ten seconds), a runner that dies, two jobs at once on one engine; then
many runs in one process, whose descriptors, threads and memory are counted, as are the parts on the engine.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil

from lab.clock import NS, SYSTEM_CLOCK
from lab.errors import LabFault, WaitTimeout
from lab.machine.engine import APIClient, connect
from lab.machine.labels import PROJECT
from lab.operate.runs import RunRequest, run_scenarios
from lab.retry import wait_until

SHORT = Path(__file__).with_name("short.yaml")
RUNS, WARM = 50, 3
"""Runs in one process; the first ones load what stays."""
PATIENCE = 10.0
"""Seconds that a CI system gives a cancelled job between SIGTERM and SIGKILL."""
MOST_FDS, MOST_MB = 3, 60.0
"""How much more a process may hold after all runs than after the first ones."""
LAB = (sys.executable, "-m", "lab", "run", str(SHORT))
Say = Callable[[str], None]


class Job:
    """A lab in a process of its own, and the project of its cluster."""

    def __init__(self, engine: APIClient) -> None:
        self._engine, self._before = engine, set(projects(engine))
        self.process = subprocess.Popen(LAB, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._said: list[str] = []

    def project(self) -> str:
        """Once it serves: the cluster that was not there before and whose run it told."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.append(line)
            if line.startswith("  run "):
                return f"lab-{line.split()[1].rstrip(',')}"
        raise LabFault(f"a run ended before it began: {''.join(self._said)[-600:]}")

    def serves(self, project: str) -> None:
        """Wait until replicas are there."""
        wait_until("replicas are there", lambda: parts(self._engine, project)[0] > 3, within=90, every=0.2)

    def end(self) -> int:
        """Read what it says to its end."""
        said, _ = self.process.communicate(timeout=180)
        self._said.append(said)
        return self.process.returncode


def projects(engine: APIClient) -> Iterator[str]:
    """Those that have containers."""
    for one in engine.containers(all=True, filters={"label": PROJECT}):
        yield one["Labels"][PROJECT]


def parts(engine: APIClient, project: str) -> tuple[int, int, int]:
    """Containers, networks and volumes of a project."""
    only = {"label": f"{PROJECT}={project}"}
    containers, networks = engine.containers(all=True, filters=only), engine.networks(filters=only)
    return len(containers), len(networks), len(engine.volumes(filters=only)["Volumes"] or ())


def must_be_gone(engine: APIClient, project: str, what: str) -> None:
    """Raise LabFault where any part of it stays."""
    left = parts(engine, project)
    if any(left):
        raise LabFault(f"after {what} containers, networks and volumes stay: {left}", at=project)


def cancelled(engine: APIClient) -> str:
    """SIGTERM, and SIGKILL after PATIENCE; what stays then goes with the next job's start."""
    job = Job(engine)
    project = job.project()
    job.serves(project)
    began = SYSTEM_CLOCK.now()
    job.process.send_signal(signal.SIGTERM)
    try:
        wait_until("it ends", lambda: job.process.poll() is not None, within=PATIENCE, every=0.05)
        how = f"ended in {(SYSTEM_CLOCK.now() - began) / NS:.1f} s"
    except WaitTimeout:
        job.process.kill()
        how = "was killed"
    job.end()
    left = parts(engine, project)
    _next(engine)
    must_be_gone(engine, project, "a cancelled job and the next one")
    return f"cancelled: {how}, {'/'.join(map(str, left))} left, none after the next job"


def died(engine: APIClient) -> str:
    """SIGKILL without a word."""
    job = Job(engine)
    project = job.project()
    job.serves(project)
    job.process.kill()
    job.end()
    left = parts(engine, project)
    _next(engine)
    must_be_gone(engine, project, "a job that died and the next one")
    return f"died: {'/'.join(map(str, left))} left, none after the next job"


def two(engine: APIClient) -> str:
    """Both hold, and neither takes the other's away."""
    jobs = [Job(engine), Job(engine)]
    named = [job.project() for job in jobs]
    codes = [job.end() for job in jobs]
    if codes != [0, 0]:
        raise LabFault(f"two jobs at once ended with {codes}")
    for project in named:
        must_be_gone(engine, project, "two jobs at once")
    return "two at once: both held, nothing left"


def soak(engine: APIClient, runs: int, say: Say) -> str:
    """Many runs in this process: what it holds after the first ones is what it holds after all."""
    own, held = psutil.Process(), list[tuple[int, int, float]]()
    images = len(engine.images(all=True))
    for number in range(runs):
        code = run_scenarios(RunRequest(scenarios=(str(SHORT),), seed=number), lambda _: None)
        if code:
            raise LabFault(f"run {number + 1} of {runs} ended with {code}")
        held.append((own.num_fds(), own.num_threads(), own.memory_info().rss / 2**20))
        say(f"run {number + 1}: {held[-1][0]} descriptors, {held[-1][1]} threads, {held[-1][2]:.0f} MB")
    first, last = held[min(WARM, runs) - 1], held[-1]
    figures = ", ".join(
        f"{what} {before:.0f} -> {after:.0f}"
        for what, before, after in zip(("descriptors", "threads", "MB"), first, last, strict=True)
    )
    if last[0] > first[0] + MOST_FDS or last[1] > first[1] + MOST_FDS or last[2] > first[2] + MOST_MB:
        raise LabFault(f"{runs} runs left more in the process than the first {WARM}: {figures}")
    more = len(engine.images(all=True)) - images
    return f"{runs} runs in a row: {figures}, {more} images more"


def _next(engine: APIClient) -> None:
    job = Job(engine)
    project = job.project()
    if job.end():
        raise LabFault("the next job did not hold", at=project)
    must_be_gone(engine, project, "the next job")


def main(runs: int) -> int:
    """0 where nothing stays."""
    say = partial(print, flush=True)
    engine = connect()
    try:
        for line in (cancelled(engine), died(engine), two(engine), soak(engine, runs, say)):
            say(f"figure: {line}")
    except LabFault as exc:
        say(f"leftovers: {exc}")
        return 1
    say(f"leftovers: nothing stays, after {runs} runs in a row")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else RUNS))
