"""`python -m tests.prove [PART ...]`: all parts or some; a table at the end, and `prove.json`."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

from lab.clock import SYSTEM_CLOCK
from tests.prove.parts import PARTS
from tests.prove.runner import Proof, Proofs, choose, prove, save, table

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "prove.json"
USAGE, INTERRUPTED = 2, 130


def main(asked: list[str]) -> int:
    """0 where every part was proven, 1 where one was not, 2 for a part that is not there, 130 when interrupted."""
    try:
        chosen = choose(asked, PARTS)
    except ValueError as exc:
        print(exc, file=sys.stderr)
        return USAGE
    began = SYSTEM_CLOCK.wall().isoformat(timespec="seconds")
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, check=False, capture_output=True, text=True
    ).stdout.strip()
    done: list[Proof] = []
    code = 0
    try:
        for part in chosen:
            print(f"--- {part.name}: {part.proves}", flush=True)
            done.append(prove(part, partial(print, flush=True), cwd=ROOT, clock=SYSTEM_CLOCK))
            save(Proofs(began=began, commit=commit, parts=tuple(done)), FILE)
    except KeyboardInterrupt:
        code = INTERRUPTED
    proofs = Proofs(began=began, commit=commit, parts=tuple(done))
    print(f"\n{table(proofs)}")
    return code or proofs.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
