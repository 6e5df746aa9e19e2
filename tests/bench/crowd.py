"""What a crowd costs: checked requests per CPU-second beside Locust's fast client, and memory per user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from lab.machine.setup import Toolbox

LOCUST = "locust==2.47.0"
HERE = Path(__file__).parent
ROOT = HERE.parent.parent

USERS, THINK, SECONDS = 1000, 0.1, 10.0
"""10,000 requests a second are asked for: Locust does what it can of them."""

MANY, MANY_THINK = 10_000, 10.0
PER_USER = 6 * 1024
MANY_OWN, MOST_OWN = 5_000, 512


class Cost(NamedTuple):
    """What some seconds of a crowd cost the process that drove it."""

    checked: float
    cpu: float
    bytes_per_user: float = 0.0
    worst_lag: float = 0.0
    resident: float = 0.0

    @property
    def per_cpu_second(self) -> float:
        return self.checked / self.cpu


def bench_crowd(toolbox: Toolbox) -> None:
    """The same journey by both; the stub has a process, and so a core, of its own."""
    locust = make_locust(toolbox.places.root / ".lab" / "locust")
    judged, plain = by_lab(USERS, THINK, "oracle"), by_lab(USERS, THINK)
    peer = by_locust(locust)
    many = by_lab(MANY, MANY_THINK, "oracle")
    print(f"crowd, {USERS:,} users, checked requests per CPU-second")
    print(f"  lab, judged by the oracle    {judged.per_cpu_second:8,.0f}")
    print(f"  lab, recorded only           {plain.per_cpu_second:8,.0f}")
    print(f"  Locust FastHttpUser          {peer.per_cpu_second:8,.0f}")
    print(f"checked requests per CPU-second vs Locust FastHttpUser: {judged.per_cpu_second / peer.per_cpu_second:.1f}x")
    kib = many.bytes_per_user / 1024
    print(f"crowd, {MANY:,} users: {kib:.1f} KiB a user ({many.bytes_per_user / PER_USER:.2f}x of 6 KiB),", end=" ")
    print(f"{many.checked / SECONDS:,.0f} requests/s, driver late by {many.worst_lag:.3f} s at worst")


def bench_own(toolbox: Toolbox) -> None:
    """Users of an own app, in a journey of plain Python, beside the same journey by Locust; then many of them."""
    locust = make_locust(toolbox.places.root / ".lab" / "locust")
    own, peer = by_lab(USERS, THINK, "oracle", "own"), by_locust(locust, "own")
    many = by_lab(MANY_OWN, MANY_THINK, "oracle", "own")
    print(f"users of an own app, {USERS:,} users, checked requests per CPU-second")
    print(f"  lab, judged by the oracle    {own.per_cpu_second:8,.0f}   {1e6 / own.per_cpu_second:.0f} us each")
    print(f"  Locust FastHttpUser          {peer.per_cpu_second:8,.0f}   {1e6 / peer.per_cpu_second:.0f} us each")
    print(f"checked requests per CPU-second vs Locust FastHttpUser: {own.per_cpu_second / peer.per_cpu_second:.1f}x")
    print(f"users of an own app, {MANY_OWN:,} in one process: {many.resident / 2**20:.0f} MiB (of {MOST_OWN} MiB)")


def by_lab(users: int, think: float, *how: str) -> Cost:
    """The lab's own crowd. Raises SystemExit where an answer was wrong: figures of a broken run say nothing."""
    with stub_shop() as port:
        module = (sys.executable, "-m", "tests.bench.drive")
        said = run_json(*module, str(port), str(users), str(think), str(SECONDS), *how)
    if said["failed"] or said["findings"]:
        raise SystemExit(f"crowd: {said['failed']:.0f} requests failed, {said['findings']:.0f} findings")
    return Cost(said["checked"], said["cpu"], said["bytes_per_user"], said["worst_lag"], said["resident"])


def by_locust(python: Path, *how: str) -> Cost:
    with stub_shop() as port:
        script = str(HERE / "locust_shop.py")
        said = run_json(str(python), script, str(USERS), str(THINK), str(SECONDS), *how, STUB_PORT=str(port))
    if said["wrong"]:
        raise SystemExit(f"crowd: Locust saw {said['wrong']:.0f} wrong answers")
    return Cost(said["checked"], said["cpu"])


def make_locust(folder: Path) -> Path:
    """Locust in a virtual environment of its own, as it would replace libraries of ours; made once."""
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", LOCUST], check=True)
        (folder / ".ready").touch()
    return python


@contextmanager
def stub_shop() -> Iterator[int]:
    """The sample shop over dictionaries in a process of its own; its port."""
    command = [sys.executable, "-m", "tests.bench.stub_shop"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stub:
        assert stub.stdin is not None
        assert stub.stdout is not None
        try:
            yield int(stub.stdout.readline())
        finally:
            stub.stdin.close()
            stub.terminate()


def run_json(*command: str, **environment: str) -> dict[str, float]:
    """The last line that a command prints, as JSON."""
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True, timeout=300)
    said = json.loads(done.stdout.splitlines()[-1])
    return {str(name): float(value) for name, value in said.items()}
