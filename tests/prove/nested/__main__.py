"""`python -m tests.prove.nested [ROW ...]`: all or some; 0 where each held, 1 where one did not, 2 for no such row."""

from __future__ import annotations

import os
import sys
import tempfile
from functools import cache, partial
from pathlib import Path

from lab.clock import NS, SYSTEM_CLOCK
from lab.errors import LabError
from lab.lessons.packing import pack_workshop
from lab.machine.places import find_places
from lab.machine.setup import make_ready
from tests.machine import load_now, too_busy
from tests.prove.nested.nest import Kind, build_image
from tests.prove.nested.rows import ROWS
from tests.prove.nested.told import Bench

PYTHON = "3.13"
"""Of Debian trixie, on which the lab's base is."""
PACK = "LAB_PROVE_PACK"
"""A pack that is there already, for whoever works on the rows."""


def main(asked: list[str]) -> int:
    """Do the rows one after another; one that fails keeps no other from running."""
    unknown = [name for name in asked if name not in ROWS]
    if unknown:
        print(f"there is no row {unknown[0]!r}; there are: {', '.join(ROWS)}", file=sys.stderr)
        return 2
    say = partial(print, flush=True)
    toolbox = make_ready(find_places(), say)
    chosen = asked or list(ROWS)
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        pack = Path(os.environ.get(PACK) or Path(folder) / "lab.tar")
        if not pack.exists():
            pack_workshop(pack, say, python=PYTHON)

        @cache
        def image(kind: Kind) -> str:
            return build_image(toolbox.engine, toolbox.images.base_tag, kind, say)

        bench = Bench(engine=toolbox.engine, pack=pack, image=image, say=say)
        for name in chosen:
            began = SYSTEM_CLOCK.now()
            try:
                told = ROWS[name](bench)
            except LabError as exc:
                failed.append(name)
                why = too_busy(load_now()[0], os.cpu_count() or 1)
                line = f"figure: {name}: {why or 'failed'}: {exc}"
            else:
                cannot = ", ".join(told.impossible) or "nothing"
                line = f"figure: {name}: {told.engine}; impossible: {cannot}; {'; '.join(told.runs)}"
            say(f"{line} ({(SYSTEM_CLOCK.now() - began) / NS:.0f} s, load {load_now()[0]:.1f})")
    say(f"engines: {len(chosen) - len(failed)} of {len(chosen)} held{': not ' if failed else ''}{', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
