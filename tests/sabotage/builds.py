"""The spoilt builds, each with the promise that must break; and the healthy one, which must hold."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    SERVING_FLOOR,
    STATE_KEPT,
    TRIES,
)

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
        may_break=(APPLIED_ONCE, TRIES),
        cluster=", affinity: cookie",
        cause="sessions live in the instance's memory",
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
        name="doubled",
        title="A repeat is done again",
        then="v2-doubled",
        breaks=APPLIED_ONCE,
        may_break=(STATE_KEPT, ORDERS_ONCE),
        cause="a repeated request is applied again",
    ),  # a line that is there twice outlives its removal
    Build(
        name="stale-read",
        title="Histories are cached in each replica",
        then="v2-stale-read",
        breaks=STATE_KEPT,
        may_break=(DEVICES_AGREE,),  # the last look of two devices may meet two replicas
        cause="replicas show old copies",
    ),
    Build(name="leak", title="Somebody else's entry, once in a great while", then="v2-leak", breaks=OWN_DATA, after=10),
    Build(name="drops-field", title="v2 forgets the display name", then="v2-drops-field", breaks=NAME_REGISTER),
    Build(name="logs-out", title="v2 refuses v1's sessions", then="v2-logs-out", breaks=LOGGED_IN),
    Build(name="short-life", title="v2 sets every session's time anew", then="v2-short-life", breaks=LOGGED_IN),
    Build(name="logout-stays", title="Logging out leaves the session", then="v2-logout-stays", breaks=LOGGED_IN),
    Build(
        name="early-ready",
        title="Ready before it is ready",
        then="v2-early-ready",
        breaks=TRIES,
        tries=1,
        cause="too early",
    ),
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
    Build(
        name="hidden-cut",
        title="SIGTERM ends it at once, and the balancer repeats what was cut",
        first="v1-no-drain",
        then="v2",
        breaks=CLEAN_STOPS,
        cause="do not drain",
    ),
    Build(
        name="redirects",
        title="Every write is answered with a redirect, and does nothing",
        then="v2-redirects",
        breaks=TRIES,
        cause="it answers with 303",
    ),
    Build(name="refuses-adds", title="Every cart is full", then="v2-refuses-adds", breaks=TRIES, cause="409"),
    Build(name="turnstile", title="Every other login is one too many", then="v2-turnstile", breaks=TRIES, cause="429"),
    Build(name="sends-away", title="Sent to the login page", then="v2-sends-away", breaks=LOGGED_IN, cause="v2"),
    Build(name="halves", title="Half of an answer", then="v2-halves", breaks=TRIES, cause="garbled"),
    Build(
        name="mute-zone",
        title="Ready, and has no time for anybody in one zone",
        then="v2-mute-zone",
        breaks=SERVING_FLOOR,
        floor=3,
        may_break=(TRIES,),
        after=10,
    ),
    Build(
        name="forgets-keys",
        title="Keys are ignored",
        then="v2-forgets-keys",
        breaks=APPLIED_ONCE,
        may_break=(STATE_KEPT, ORDERS_ONCE, NAME_REGISTER),
        cause="a repeated request is applied again",
    ),
    Build(
        name="keys-per-replica",
        title="Each replica has keys of its own",
        then="v2-keys-per-replica",
        breaks=APPLIED_ONCE,
        may_break=(STATE_KEPT, ORDERS_ONCE, NAME_REGISTER),
        cause="a repeated request is applied again",
    ),
    Build(
        name="writes-later",
        title="Acknowledged before it is done",
        then="v2-writes-later",
        breaks=STATE_KEPT,
        cause="writes are acknowledged before they are done",
    ),
    Build(name="other-item", title="Another item", then="v2-other-item", breaks=STATE_KEPT),
    Build(name="other-prices", title="Another price", then="v2-other-prices", breaks=STATE_KEPT, cause="v2"),
    Build(name="forgets-gifts", title="Gift marks are lost", then="v2-forgets-gifts", breaks=STATE_KEPT),
    Build(
        name="keeps-removed",
        title="Removed lines stay",
        then="v2-keeps-removed",
        breaks=STATE_KEPT,
        # It keeps no key of what it did not do, so that a repeat may find the line gone, and say so.
        may_break=(ORDERS_ONCE, APPLIED_ONCE),
    ),
    Build(name="short-names", title="Names are cut", then="v2-short-names", breaks=NAME_REGISTER),
    Build(name="plain-names", title="Names lose their letters", then="v2-plain-names", breaks=NAME_REGISTER),
    Build(
        name="hides-order",
        title="An order is not listed",
        then="v2-hides-order",
        breaks=ORDERS_ONCE,
        cause="v2",
        may_break=(DEVICES_AGREE,),
    ),
    Build(name="doubles-order", title="An order twice", then="v2-doubles-order", breaks=ORDERS_ONCE, cause="v2"),
    Build(name="cuts-order", title="A line of an order is lost", then="v2-cuts-order", breaks=ORDERS_ONCE, cause="v2"),
    Build(
        name="turns-history",
        title="Out of order",
        then="v2-turns-history",
        breaks=STATE_KEPT,
        cause="v2",
        may_break=(DEVICES_AGREE,),
    ),
    Build(
        name="ends-come-back", title="Ended sessions come back", then="v2-ends-come-back", breaks=LOGGED_IN, after=12
    ),
    Build(
        name="skewed-clock",
        title="One replica's clock is wrong",
        then="v2-skewed-clock",
        breaks=LOGGED_IN,
        cause="alone refuses sessions",
    ),
    Build(name="any-password", title="Any password is right", then="v2-any-password", breaks=OWN_DATA, after=10),
    Build(name="tells-of-others", title="A field of others", then="v2-tells-of-others", breaks=OWN_DATA),
    Build(name="page-of-others", title="A page of others", then="v2-page-of-others", breaks=OWN_DATA, after=8),
    Build(
        name="empty-pages", title="Empty for browsers", then="v2-empty-pages", breaks=STATE_KEPT, cause="v2", after=8
    ),
    Build(name="swaps", title="Somebody else's cart", then="v2-swaps", breaks=OWN_DATA, cause="v2"),
    Build(
        name="crashes",
        title="It ends by itself",
        then="v2-crashes",
        breaks=TRIES,
        may_break=(SERVING_FLOOR, CLEAN_STOPS),
        tries=1,
        cluster=", repeat_writes: false",
        after=8,
        cause="replicas crash",
    ),
    Build(
        name="eats",
        title="It eats memory",
        then="v2-eats",
        breaks=TRIES,
        may_break=(SERVING_FLOOR, CLEAN_STOPS),
        tries=1,
        cluster=", repeat_writes: false",
        after=8,
        cause="out of memory",
    ),
)
HEALTHY = Build(name="healthy", title="Nothing is spoilt", then="v2", breaks=None)
SEEDS_OF_HEALTHY = (1, 2, 3)
RIGHT = tuple(
    Build(name=way, title=f"Unusual, and right: {way}", then=f"v2-{way}", breaks=None)
    for way in (
        "chunked",
        "closes",
        "created",
        "escaped",
        "large-pages",
        "late-leaver",
        "many-cookies",
        "many-headers",
        "more-fields",
        "pretty",
        "says-later",
        "sorted",
        "uneven",
    )
)
"""What nobody may hold against an app."""


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
