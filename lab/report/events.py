"""The few kinds of event that a page is made of: the same whether a run goes on, is replayed or lies in a report.

Times are seconds since the run began, never decreasing. Releases and users are numbered as they are first seen.
"""

from __future__ import annotations

from msgspec import field

from lab.model import Value


class PageEvent(Value, tag_field="k"):
    """Something that changes the page at `t`."""

    t: float


class Planned(PageEvent, tag="plan"):
    """The first of all: what there will be."""

    run: str
    title: str
    about: str
    seed: int | None
    zones: dict[str, tuple[str, ...]]
    """The slots of each zone."""
    users: int
    promises: tuple[tuple[str, str, str], ...]
    """Name, title and what is counted."""
    floor: int
    """How many replicas must serve."""
    every: float
    """Seconds that a sample stands for."""


class PagePhase(PageEvent, tag="phase"):
    """A part of the scenario began."""

    name: str
    text: str


class NewRelease(PageEvent, tag="release"):
    """From now on releases[i] is known; its number is its colour."""

    i: int
    name: str


class Moved(PageEvent, tag="replica"):
    """A replica is in another state: starting, serving, standing by, draining, frozen, cut off,
    killed, gone."""

    slot: str
    id: str
    release: int
    state: str


class Turned(PageEvent, tag="tier"):
    """A balancer or the store is in another state: up, frozen, cut off, down."""

    name: str
    role: str
    label: str
    """What a person calls it."""
    state: str


class ZoneTurned(PageEvent, tag="zone"):
    """A zone is lost, cut off, or back (nothing)."""

    zone: str
    state: str


class PageServed(PageEvent, tag="serving"):
    """How many replicas serve, by the deployer's word."""

    total: int


class PageStrike(PageEvent, tag="strike"):
    """A fault is about to be done."""

    n: int
    fault: str
    victim: str
    slot: str


class Proved(PageEvent, tag="proved"):
    """What came of a strike."""

    n: int
    hit: bool


class Sample(PageEvent, tag="sample"):
    """What users did in the last `every` seconds."""

    by: tuple[int, ...] = ()
    """Answers by release."""
    slots: dict[str, int] = field(default_factory=dict)
    """Answers by slot."""
    retries: int = 0
    """Tries that users repeated."""
    lost: int = 0
    """Operations without a proper answer after all tries."""
    repeated: int = 0
    """Tries that the balancer repeated elsewhere, which no user noticed."""
    p50: float = 0.0
    p99: float = 0.0
    """Milliseconds within which half of the operations, and 99 %, ended."""
    took: tuple[tuple[int, ...], ...] = ()
    """By the release that answered last: how long operations took, as bucket, count, bucket, count, ... where bucket b
    holds those below 2 ** ((b + 1) / 8) nanoseconds. Counts of several samples add up; percentiles don't."""
    failed: tuple[int, ...] = ()
    """Tries without a proper answer, by the release that gave it."""
    unanswered: int = 0
    """Tries that no replica answered."""
    names: tuple[str, ...] = ()
    """Users seen for the first time."""
    users: tuple[tuple[int, int, int], ...] = ()
    """User, release that answered last (-1: none), and marks: 1 something was compared, 2 a try was repeated."""


class Counted(PageEvent, tag="counted"):
    """How much was checked and found so far: by promise, how many checks and how many that broke it."""

    promises: dict[str, tuple[int, int]]
    operations: int
    saved: int
    """Operations that a further try brought to a good end."""
    lost: int


class KindCount(Value):
    """How one kind of request fared so far; times in milliseconds."""

    requests: int
    failed: int
    """Without a proper answer after all tries."""
    repeated: int
    """That took more than one try."""
    p50: float
    p95: float
    p99: float
    slowest: float


class KindsCounted(PageEvent, tag="kinds"):
    """How each kind of request fared so far."""

    kinds: dict[str, KindCount]


class Hurt(PageEvent, tag="hurt"):
    """A promise was broken; `user` is -1 where it is no one user's."""

    user: int
    promise: str
    why: str


class Said(PageEvent, tag="said"):
    """Something happened, as a sentence."""

    text: str
    tone: str = ""
    """strike, bad, command (what somebody's own command did), seen (what was observed of a deployment that is not the
    lab's), or nothing."""


class Sighted(PageEvent, tag="seen"):
    """A replica of a deployment that is not the lab's was seen in another state: started, ready, leaving, ended."""

    who: str
    state: str
    release: str
    source: str
    """By whose word."""


class JudgedPromise(Value):
    """How one promise fared."""

    promise: str
    title: str
    verdict: str
    count: int
    checks: str
    broken: int
    note: str


class Ended(PageEvent, tag="verdict"):
    """The last of all: what the run showed."""

    verdict: str
    exit_code: int
    lines: tuple[str, ...]
    """As the run's own last lines."""
    promises: tuple[JudgedPromise, ...]


AnyPageEvent = (
    Planned
    | PagePhase
    | NewRelease
    | Moved
    | Turned
    | ZoneTurned
    | PageServed
    | PageStrike
    | Proved
    | Sample
    | Counted
    | KindsCounted
    | Hurt
    | Said
    | Sighted
    | Ended
)
