"""The spoilt builds, each with the promise that must break; and the healthy one, which must hold."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from lab.errors import ExitCode
from lab.model import Value
from lab.oracle.promises import (
    ANSWERS_IN_TIME,
    APPLIED_ONCE,
    CLEAN_STOPS,
    DEVICES_AGREE,
    LOGGED_IN,
    NAME_REGISTER,
    ORDERS_ONCE,
    OWN_DATA,
    STATE_KEPT,
    TRIES,
)

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = """\
lab: 1
name: {name}
title: "{title}"
cluster: {{release: "shop:{first}", zones: {{a: 1, b: 1, c: 1}}{cluster}}}
users: {{count: 40, on_two_devices: 40, think: 0.25, tries: {tries}}}
promises: {{serving_at_least: 2{promises}}}
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
    before: float = 2
    after: float = 4


BUILDS = (
    Build(
        name="memory",
        title="Sessions in memory",
        first="v1-memory",
        then="v2-memory",
        breaks=LOGGED_IN,
        # A retry at another replica finds nobody's session and no stored answer.
        may_break=(APPLIED_ONCE,),
        cluster=", affinity: cookie",
    ),
    Build(
        name="lost-update",
        title="The cart is written back as a whole",
        then="v2-lost-update",
        breaks=STATE_KEPT,
        # A line that was lost may be missing in an order, or come back with an older copy of the cart.
        may_break=(ORDERS_ONCE, APPLIED_ONCE),
    ),
    Build(
        name="doubled", title="A repeat is done again", then="v2-doubled", breaks=APPLIED_ONCE, may_break=(STATE_KEPT,)
    ),  # a line that is there twice outlives its removal
    Build(
        name="stale-read",
        title="Histories are cached in each replica",
        then="v2-stale-read",
        breaks=STATE_KEPT,
        may_break=(DEVICES_AGREE,),  # the last look of two devices may meet two replicas
    ),
    Build(name="leak", title="Somebody else's entry, once in a great while", then="v2-leak", breaks=OWN_DATA, after=10),
    Build(name="drops-field", title="v2 forgets the display name", then="v2-drops-field", breaks=NAME_REGISTER),
    Build(name="logs-out", title="v2 refuses v1's sessions", then="v2-logs-out", breaks=LOGGED_IN),
    Build(name="short-life", title="v2 sets every session's time anew", then="v2-short-life", breaks=LOGGED_IN),
    Build(name="logout-stays", title="Logging out leaves the session", then="v2-logout-stays", breaks=LOGGED_IN),
    Build(name="early-ready", title="Ready before it is ready", then="v2-early-ready", breaks=TRIES, tries=1),
    Build(name="flaky", title="Ready, and one request in eight fails", then="v2-flaky", breaks=TRIES, tries=1),
    Build(
        name="slow",
        title="Ready, and slow",
        then="v2-slow",
        breaks=ANSWERS_IN_TIME,
        promises=", p99_within: 0.3",
    ),
    Build(
        name="no-drain",
        title="SIGTERM ends it at once",
        first="v1-no-drain",
        then="v2",
        breaks=CLEAN_STOPS,
        may_break=(TRIES,),  # whoever was cut off and tries only once has no answer
        tries=1,
        cluster=", repeat_writes: false",  # else the balancer would hide it from users
    ),
)
HEALTHY = Build(name="healthy", title="Nothing is spoilt", then="v2", breaks=None)
SEEDS_OF_HEALTHY = (1, 2, 3)


class Judged(Value):
    """What a run of a build came to; `wrong` says what is not as it must be."""

    build: Build
    seed: int
    broken: tuple[str, ...]
    operations: int
    wrong: str = ""

    @property
    def line(self) -> str:
        """One line for people."""
        said = self.wrong or ("held" if self.build.breaks is None else f"red by {self.build.breaks}, as it must be")
        also = [name for name in self.broken if name != self.build.breaks]
        beside = f" (and by {', '.join(also)})" if also and not self.wrong else ""
        return f"{self.build.name:<14} seed {self.seed}: {said}{beside}; {self.operations} operations"


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
        wrong=_what_is_wrong(build, ended.returncode, broken, verdict.get("reasons", [])),
    )


def _what_is_wrong(build: Build, code: int, broken: tuple[str, ...], reasons: list[str]) -> str:
    """Empty where the run came out as the build deserves."""
    if build.breaks is None:
        return "" if code == ExitCode.HELD and not broken else f"exit {code}, broken {broken}, {reasons}"
    if build.breaks not in broken:
        return f"{build.breaks} was not broken: exit {code}, broken {broken or 'nothing'}, {reasons}"
    others = set(broken) - {build.breaks, *build.may_break}
    if others:
        return f"broke {', '.join(sorted(others))} too, which has nothing to do with it"
    return "" if code == ExitCode.BROKEN else f"exit {code}"
