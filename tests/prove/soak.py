"""A long run's memory: `python -m tests.prove.soak [SECONDS [OPTION ...]]`, two hours unless said.

It is the shipped soak, in a process of its own: upgraded and taken back under fire, again and again. What the process
and its children hold in memory is read every ten seconds; so is what the balancer and the store hold, which live as
long as the run. Ends with 1 where the run did not hold, or where memory did not stay flat while the cluster stood; what
judging the record takes afterwards is told apart.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from lab.clock import NS, SYSTEM_CLOCK
from lab.errors import LabFault
from lab.machine.engine import APIClient, connect
from lab.machine.labels import ROLE, RUN
from lab.model import Value

SECONDS, EVERY = 7200.0, 10.0
"""How long it lasts, and how often memory is read."""
PIECES, WARM = 10, 2
"""The run is told in so many pieces; the first ones load what stays."""
MOST_MORE, KIB_PER_ORDER = 1.1, 6.0
"""Flat: the last piece holds at most this many times what the first warm one held, and so much for each order since.
Orders stay, with the shop and with whoever is to know them all; everything else that users do is over some time."""
ORDERS = re.compile(r"([\d ]+) orders? counted once")
Say = Callable[[str], None]


class Held(Value):
    """Megabytes that each holds at one moment."""

    at: float
    lab: float
    balancer: float
    store: float


def tree_mb(process: psutil.Process) -> float:
    """What a process and its children hold, those aside that end meanwhile."""
    held = 0
    for one in (process, *process.children(recursive=True)):
        try:
            held += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return held / 2**20


def container_mb(engine: APIClient, run: str, role: str) -> float:
    """What the containers of a role in a run's cluster hold, without the kernel's cache of files; 0 before any."""
    held = 0.0
    for one in engine.containers(filters={"label": [f"{RUN}={run}", f"{ROLE}={role}"]}):
        memory = engine.stats(one["Id"], stream=False, one_shot=True).get("memory_stats") or {}
        cache = memory.get("stats", {})
        held += memory.get("usage", 0) - cache.get("total_inactive_file", cache.get("inactive_file", 0))
    return held / 2**20


def run_of(said: str) -> str:
    """The run that its lines name; empty before they do."""
    return next((line.split()[1].rstrip(",") for line in said.splitlines() if line.startswith("  run ")), "")


def watch(seconds: float, options: Sequence[str], say: Say) -> tuple[int, list[Held], str]:
    """Run it, and read what is held until it ends: its exit code, all that was read, and what it said."""
    engine, seen = connect(), list[Held]()
    argv = (sys.executable, "-m", "lab", "run", "soak", "--duration", f"{seconds:g}", *options)
    began = SYSTEM_CLOCK.now()
    with tempfile.NamedTemporaryFile("r") as said:
        with subprocess.Popen(argv, stdout=Path(said.name).open("w"), stderr=subprocess.STDOUT) as process:
            try:
                lab = psutil.Process(process.pid)
                while not _ended(process):
                    run = run_of(Path(said.name).read_text())
                    at = (SYSTEM_CLOCK.now() - began) / NS
                    one = Held(
                        at=at,
                        lab=tree_mb(lab),
                        balancer=container_mb(engine, run, "balancer") if run else 0.0,
                        store=container_mb(engine, run, "store") if run else 0.0,
                    )
                    seen.append(one)
                    say(f"{at:6.0f} s: lab {one.lab:.1f}, balancer {one.balancer:.1f}, store {one.store:.1f} MB")
            finally:
                if process.poll() is None:
                    process.terminate()
        told = said.read()
        say(told[-4000:])
        return process.returncode, seen, told


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(EVERY)
    except subprocess.TimeoutExpired:
        return False
    return True


def pieces(seen: Sequence[Held], of: Callable[[Held], float]) -> list[float]:
    """The median of each of PIECES pieces of equal length. Raises LabFault where too little was read to tell."""
    each = len(seen) // PIECES
    if not each:
        raise LabFault(f"memory was read {len(seen)} times, which is too few to tell whether it stays flat")
    return [statistics.median(map(of, seen[at * each : (at + 1) * each])) for at in range(PIECES)]


def is_flat(held: Sequence[float], orders: int) -> bool:
    """Whether the last piece holds no more than the first warm one, but for the orders that were made since."""
    since = orders * (1 - WARM / PIECES)
    return held[-1] <= held[WARM] * MOST_MORE + since * KIB_PER_ORDER / 1024


def main(argv: Sequence[str]) -> int:
    """Say the figures of each, and end with 1 where one grew or the run did not hold."""
    seconds = float(argv[0]) if argv else SECONDS
    code, seen, said = watch(seconds, argv[1:], lambda line: print(line, flush=True))
    told = ORDERS.search(said)
    orders, grew = int(told[1].replace(" ", "")) if told else 0, list[str]()
    stood = [one for one in seen if one.balancer]
    for what, of in (
        ("lab", lambda one: one.lab),
        ("balancer", lambda one: one.balancer),
        ("store", lambda one: one.store),
    ):
        held = pieces(stood, of)
        print(
            f"figure: {what}, MB in each tenth of {seconds:g} s: {' '.join(f'{one:.0f}' for one in held)}", flush=True
        )
        if not is_flat(held, orders):
            grew.append(what)
    judging = [one.lab for one in seen if one.at > stood[-1].at]
    print(f"figure: judging the record, MB at most: {max(judging, default=0):.0f}", flush=True)
    told_of = f"memory grew: {', '.join(grew)}" if grew else "memory stayed flat"
    print(f"soak: the run ended with {code}; {told_of}, beside {orders} orders")
    return int(bool(code or grew))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
