"""A run of one build, on real containers, and whether it came out as the build deserves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from lab.errors import ExitCode
from lab.model import Value

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = """\
lab: 1
name: {name}
title: "{title}"
cluster: {{release: "shop:{first}", zones: {{a: 1, b: 1, c: 1}}{cluster}}}
users: {{count: 40, on_two_devices: 40, think: 0.4, tries: {tries}}}
promises: {{serving_at_least: {floor}{promises}}}
steps:
  - settle: {{for: {before}}}
  - roll: {{to: "shop:{then}"}}
  - settle: {{for: {after}}}
enough: {{operations: 500, checks: 500}}
time_limit: 120
"""


class Build(Value):
    """One mistake. `breaks` is the promise that it must break, `may_break` what may break with it, and why."""

    name: str
    title: str
    then: str
    breaks: str | None
    first: str = "v1"
    may_break: tuple[str, ...] = ()
    tries: int = 3
    cluster: str = ""
    promises: str = ""
    floor: int = 2
    cause: str = ""
    """What the verdict must say that it is likely due to; empty: anything may be said, or nothing."""
    before: float = 5
    """Seconds before the rollout: what was well all that time is a new release's doing where it goes wrong then."""
    after: float = 4


class Judged(Value):
    """What a run of a build came to; `wrong` says what is not as it must be."""

    build: Build
    seed: int
    broken: tuple[str, ...]
    operations: int
    likely: str = ""
    wrong: str = ""

    @property
    def line(self) -> str:
        """One line for people."""
        said = self.wrong or ("held" if self.build.breaks is None else f"red by {self.build.breaks}, as it must be")
        also = [name for name in self.broken if name != self.build.breaks]
        beside = f" (and by {', '.join(also)})" if also and not self.wrong else ""
        why = f", {self.likely}" if self.likely and not self.wrong else ""
        return f"{self.build.name:<16} seed {self.seed}: {said}{beside}{why}; {self.operations} operations"


def try_build(build: Build, seed: int, folder: Path) -> Judged:
    """Run the whole lab on a build, on real containers, as anybody would."""
    path = folder / f"{build.name}.yaml"
    path.write_text(SCENARIO.format(**{name: getattr(build, name) for name in build.__struct_fields__}))
    argv = [sys.executable, "-m", "lab", "run", str(path), "--seed", str(seed)]
    ended = subprocess.run(argv, cwd=ROOT, check=False, capture_output=True, text=True, timeout=300)
    named = re.search(r"run (\S+), seed", ended.stdout)
    if named is None:
        return Judged(build=build, seed=seed, broken=(), operations=0, wrong=f"no run: {ended.stdout}{ended.stderr}")
    verdict = json.loads((ROOT / "runs" / named[1] / "verdict.json").read_text())
    broken = tuple(one["promise"] for one in verdict["promises"] if one.get("broken", 0))
    return Judged(
        build=build,
        seed=seed,
        broken=broken,
        operations=verdict["evidence"]["operations"],
        likely=verdict.get("likely", ""),
        wrong=_what_is_wrong(build, ended.returncode, broken, verdict),
    )


def _what_is_wrong(build: Build, code: int, broken: tuple[str, ...], verdict: dict[str, Any]) -> str:
    """Empty where the run came out as the build deserves."""
    reasons, likely = verdict.get("reasons", []), verdict.get("likely", "")
    if build.breaks is None:
        return "" if code == ExitCode.HELD and not broken else f"exit {code}, broken {broken}, {reasons}"
    if build.breaks not in broken:
        return f"{build.breaks} was not broken: exit {code}, broken {broken or 'nothing'}, {reasons}"
    others = set(broken) - {build.breaks, *build.may_break}
    if others:
        return f"broke {', '.join(sorted(others))} too, which has nothing to do with it"
    if build.cause not in likely:
        return f"said to be due to {likely or 'nothing'}, which is {build.cause}"
    return "" if code == ExitCode.BROKEN else f"exit {code}"
