"""The lab's images for a processor that this machine has not: `python -m tests.prove.emulated`.

All are built under emulation, from that processor's own packages; then a run with one upgrade is held on them, by users
with the patience that emulation takes. Ends with 1 where it does not, or where this machine emulates nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lab.errors import LabError, LabFault
from lab.machine.base_image import DEBIAN, PLATFORM, own_processor
from lab.machine.engine import connect, engine_errors
from lab.machine.images import SELDOM, ImageShelf
from lab.machine.places import find_places
from lab.machine.worker_image import make_worker_image

SCENARIO = Path(__file__).with_name("emulated.yaml")


def main() -> int:
    """Build them, look at each, and run."""
    engine = connect()
    other = next(one for one in sorted(DEBIAN, reverse=True) if one != own_processor(engine))
    os.environ[PLATFORM] = f"linux/{other}"
    _lab("setup")
    shelf = ImageShelf(engine, find_places().images)
    seldom = [one.name for one in SELDOM]
    shelf.make_missing(_say, seldom)
    worker = make_worker_image(engine, shelf, find_places().images, _say)
    tags = (shelf.base_tag, *map(shelf.tag, (*shelf.names, *seldom)), worker)
    for tag in tags:
        with engine_errors("look at an image", at=tag):
            made_for = engine.inspect_image(tag)["Architecture"]
        if made_for != other:
            raise LabFault(f"{tag} is for {made_for}, and was to be for {other}")
    print(f"figure: {len(tags)} images for {other} on an engine for {own_processor(engine)}", flush=True)
    _lab("run", str(SCENARIO))
    print(f"emulated: images for {other} were built here, and users kept their state on them")
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def _lab(*argv: str) -> None:
    done = subprocess.run([sys.executable, "-m", "lab", *argv], check=False)
    if done.returncode:
        raise LabFault(f"lab {' '.join(argv)} ended with {done.returncode} under {PLATFORM}={os.environ[PLATFORM]}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as exc:
        print(f"emulated: {exc}", flush=True)
        sys.exit(1)
