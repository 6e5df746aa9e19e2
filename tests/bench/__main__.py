"""`python -m tests.bench [rollouts|crowd|own|oracle|gate|demo]`: figures and ratios, on a quiet machine."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab.clock import NS, SYSTEM_CLOCK
from lab.machine.places import find_places
from lab.machine.setup import Toolbox, make_ready
from tests.bench.crowd import bench_crowd, bench_own
from tests.bench.gate import bench_gate
from tests.bench.oracle import bench_oracle
from tests.bench.rollouts import bench_rollouts


def main(asked: list[str]) -> None:
    """Run the benches that are named, or all."""
    benches: dict[str, Callable[[Toolbox], None]] = {
        "rollouts": bench_rollouts,
        "crowd": bench_crowd,
        "own": bench_own,
        "oracle": bench_oracle,
        "gate": bench_gate,
        "demo": bench_demo,
    }
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whatever a bench has made is taken away again
    toolbox = make_ready(find_places(), print)
    for name in asked or benches:
        benches[name](toolbox)


def bench_demo(toolbox: Toolbox) -> None:
    """`make demo` in a fresh clone without images, and again."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(toolbox.places.root), str(clone)], check=True)
        for name in (*toolbox.images.names, ""):
            tag = toolbox.images.tag(name) if name else toolbox.images.base_tag
            toolbox.engine.remove_image(tag, force=True)
        cold, warm = time_demo(clone), time_demo(clone)
        shutil.rmtree(clone / "runs")
    print(f"make demo, cold (no environment, no images): {cold:6.1f} s")
    print(f"make demo, warm:                             {warm:6.1f} s   cold / warm: {cold / warm:.2f}x")


def time_demo(folder: Path) -> float:
    began = SYSTEM_CLOCK.now()
    subprocess.run(["make", "demo"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return (SYSTEM_CLOCK.now() - began) / NS


if __name__ == "__main__":
    main(sys.argv[1:])
