"""`python -m tests.sabotage [NAME ...]`: each spoilt build turns a run red by its own promise, each right one holds."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.sabotage.builds import BUILDS, HEALTHY, RIGHT, SEEDS_OF_HEALTHY
from tests.sabotage.trying import try_build


def main(asked: list[str]) -> int:
    """Try them, one line each, and one line of counts at the end; 0 where all came out as they deserve, 2 for a name
    that none has."""
    unknown = set(asked) - {one.name for one in (*BUILDS, *RIGHT, HEALTHY)}
    if unknown:
        print(f"there is no build {min(unknown)!r}: see tests/sabotage/builds.py", file=sys.stderr)
        return 2
    plan = [(build, 1) for build in (*BUILDS, *RIGHT) if not asked or build.name in asked]
    plan += [(HEALTHY, seed) for seed in SEEDS_OF_HEALTHY if not asked or HEALTHY.name in asked]
    judged = []
    with tempfile.TemporaryDirectory() as folder:
        for build, seed in plan:
            judged.append(try_build(build, seed, Path(folder)))
            print(judged[-1].line, flush=True)
    spoilt = [one for one in judged if one.build.breaks is not None]
    healthy = [one for one in judged if one.build.breaks is None]
    print(
        f"sabotage: {sum(not one.wrong for one in spoilt)} of {len(spoilt)} spoilt builds red by their own promise,"
        f" {sum(not one.wrong for one in healthy)} of {len(healthy)} right runs held;"
        f" {sum(one.operations for one in judged)} operations"
    )
    return int(any(one.wrong for one in judged))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
