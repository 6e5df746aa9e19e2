"""`python -m tests.swarm [CASE ...]`: brings a yard up if none is, tries each case, one line of figures each."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.swarm.cases import CASES
from tests.swarm.tried import Tried, try_case
from tests.swarm.yard import yard_of_nodes


def main(asked: list[str]) -> int:
    """0 where every case ended as it must."""
    unknown = set(asked) - {case.name for case in CASES}
    if unknown:
        print(f"no such case: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    tried: list[Tried] = []
    with yard_of_nodes(), tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if asked and case.name not in asked:
                continue
            for on in ("swarm", "engine") if case.on_engine else ("swarm",):
                tried.append(try_case(case, on, Path(folder)))
                print(f"{'figure: ' if case.workers else ''}{tried[-1].line}", flush=True)
    wrong = [one for one in tried if one.wrong]
    on_swarm = [one for one in tried if one.on == "swarm"]
    told = "; ".join(f"{one.case.name}: {one.first_tries} in {one.seconds:.0f} s" for one in on_swarm)
    print(f"swarm: {len(tried) - len(wrong)} of {len(tried)} runs ended as they must; first tries failed: {told}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
