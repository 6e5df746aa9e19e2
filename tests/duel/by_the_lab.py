"""The lab's own rollout as the command of a watched run: `lab roll`, on a cluster that `lab up` made."""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path

from lab.machine.ports import free_ports
from lab.machine.setup import Toolbox
from lab.operate.runs import ChosenRun, watch_one
from tests.duel.watching import Figures, figures, scenario

EVIDENCE = Path(__file__).with_name("evidence.py")
LAB = (sys.executable, "-P", "-m", "lab")


def watched_roll(toolbox: Toolbox, folder: Path) -> Figures:
    """From `lab up` to `lab down`; the users are those of all the other ways."""
    assert toolbox
    project = f"lab-duel-{secrets.token_hex(3)}"
    (port,) = free_ports(1)
    subprocess.run([*LAB, "up", "-p", project, "--port", str(port)], check=True)
    try:
        told = scenario(
            f"http://127.0.0.1:{port}",
            {"command": [sys.executable, str(EVIDENCE), f"lab.project={project}"]},
            [*LAB, "roll", "shop:v2", "-p", project],
            folder,
        )
        judged, run = watch_one(ChosenRun(scenario=told, seed=11), folder / "runs", say=print, is_shown=False)
    finally:
        subprocess.run([*LAB, "down", "-p", project, "--yes"], check=True)
    return figures("lab roll", "the lab's", judged, run)
