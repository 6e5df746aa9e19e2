"""What happens in a run, one value for each event."""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from lab.model import Value


def _kebab(name: str) -> str:
    """ContainerEvent -> container-event."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


class Event(Value, tag_field="kind", tag=_kebab):
    """Something that happened in the run at monotonic nanosecond `at`."""

    at: int


class RunBegan(Event):
    """A run of a scenario began."""

    run: str
    scenario: str
    title: str
    seed: int


class RunEnded(Event):
    """It was judged: the last line of the record."""

    verdict: str
    exit_code: int
    reasons: tuple[str, ...] = ()
    operations: int | None = None
    """How many the record holds; None in records from before this was written down."""
    history: int | None = None
    """The CRC-32 of all that stands in history.jsonl; None in records of a format before 3."""


class PhaseBegan(Event):
    """The run entered a part of its scenario; `until` it ends, the floor of serving replicas is `floor`."""

    name: str
    text: str = ""


class ContainerEvent(Event):
    """The engine says that one of the run's containers changed."""

    action: str  # create, start, kill, die, oom, stop, destroy, pause, unpause, rename
    container: str
    name: str
    role: str
    slot: str = ""
    zone: str = ""
    release: str = ""
    exit_code: int | None = None
    signal: int | None = None
    engine_ns: int = 0
    """The engine's own time of it, nanoseconds since the epoch."""


class Step(Event):
    """The deployer does one thing to one slot: create, start, enter, drain, stop, remove; or sees it become ready."""

    action: str
    slot: str
    replica: str
    release: str
    why: str = ""  # upgrade, replacement, first
    seconds: float | None = None


class AppStopped(Event):
    """An app that knows nothing of the lab has got its stop signal, while requests may be in it."""

    replica: str
    slot: str
    service: str
    signal: str
    grace: float
    """Seconds that it has before SIGKILL."""
    process: str = ""
    """What ran as its process 1, where that is known."""
    hook: str = ""
    """What came of a command that should have run before, where it failed."""
    heard: int = 0
    """When the engine had delivered the signal; 0 where that is not known."""


class IdleClosed(Event):
    """An app that knows nothing of the lab was seen to close connections itself once nobody used them for a while."""

    replica: str
    slot: str
    after: float
    """Seconds for which they had been idle."""


class NotReady(Event):
    """A replica that is not ready, and was not before, says so in another way than it did until now."""

    replica: str
    slot: str
    release: str
    saw: str
    """What was asked and what came: "GET /healthz on 8000: 503"."""
    log: tuple[str, ...] = ()
    """The last lines that it wrote."""


class RolloutMoved(Event):
    """A rollout entered a phase: prepare, move, watch, keep, back, ended."""

    rollout: str
    to: str
    before: str
    phase: str
    stage: int = 0
    ending: str = ""  # done, rolled back, reversed, aborted
    why: str = ""


class Scaled(Event):
    """The autoscaler wants another number of replicas."""

    before: int
    to: int
    why: str


class Office(Event):
    """A deployer took the lead of a cluster, or found that it leads no more."""

    action: str  # in office, fenced, cut off, refused
    holder: str
    text: str
    is_first: bool = False
    """Whether nobody led before."""


class StrikeSource(StrEnum):
    """From whom a strike comes."""

    STEP = "step"  # a `strike` or `lose_zone` of the scenario
    SCHEDULE = "schedule"  # one of those that a scenario tells one by one
    MONKEY = "monkey"  # drawn
    PIN = "pin"  # pinned to a moment of a rollout: its victim need not have served
    PAGE = "page"  # somebody at the run's page
    HAND = "hand"  # somebody at the command line


class Strike(Event):
    """A fault is about to be done; written before it is.

    What it is stands in values: `fault` is for people alone. A record from before there were these values (2026-12)
    says it by that text, which is read here and nowhere else.
    """

    strike: int
    fault: str
    """What is done, as a person reads it."""
    victim: str
    container: str
    slot: str
    zone: str
    release: str
    serving: int
    """How many replicas were serving just before, the victim among them."""
    whole_zone: bool = False
    """It is part of the loss of its zone."""
    role: str = ""
    """What kind of thing the victim is."""
    is_told: bool = False
    """Only in records from before there was a `source`: it came from a step or a schedule."""
    fault_kind: str = ""
    """The fault's name in the table of faults."""
    lasts: bool = False
    """Whether its victim lives on, hurt, until it is undone."""
    signal: str = ""
    """What a kill sends."""
    off: str = ""
    """Whom a cut is from; "" for everybody."""
    source: StrikeSource | None = None
    """From whom it comes."""

    def __post_init__(self) -> None:
        """Fill in what an old record says by its text."""
        if not self.fault_kind:
            for name, value in _kind_of_text(self.fault).items():
                msgspec.structs.force_setattr(self, name, value)
        if self.source is None:
            source = StrikeSource.STEP if self.is_told else StrikeSource.MONKEY
            msgspec.structs.force_setattr(self, "source", source)

    @property
    def is_drawn(self) -> bool:
        """Whether nobody but chance or a person asked for it: no step makes it again where the run is repeated."""
        return self.source in {StrikeSource.MONKEY, StrikeSource.PAGE, StrikeSource.HAND}

    @property
    def cuts_off(self) -> bool:
        """Whether nobody reaches its victim any more, though it lives."""
        return self.fault_kind == "cut" and not self.off


def _kind_of_text(fault: str) -> dict[str, object]:
    """What a strike was, by the only thing that an old record says of it."""
    if fault.startswith("SIG"):
        return {"fault_kind": "kill", "signal": fault}
    verb, _, rest = fault.partition(" ")
    if verb == "cut" and rest.startswith("from "):
        return {"fault_kind": "cut", "lasts": True, "off": rest.removeprefix("from ")}
    kind = "freeze" if verb == "stop" and rest else verb  # "stop the deployer"
    signal = {"signal": "SIGKILL"} if kind == "kill" else {}
    source = {"source": StrikeSource.PIN} if rest.startswith("the ") else {}
    return {"fault_kind": kind, "lasts": kind in {"freeze", "slow", "cut"}, **signal, **source}


class StrikeProved(Event):
    """What came of a strike: a hit only where the victim ran and had been answering users."""

    strike: int
    hit: bool
    why: str = ""


class WouldStrike(Event):
    """What a leashed monkey would have done."""

    fault: str
    victim: str
    when: str = ""
    """The model time, where there is one."""


class StrikeUndone(Event):
    """What a strike did was taken back, or was over by itself."""

    strike: int
    fault: str
    victim: str


class ZoneLost(Event):
    """A whole zone is gone from here on: every container in it is struck, and none is made there."""

    zone: str
    cut_off: bool = False
    """Alive, but nobody reaches it and it reaches nobody."""


class ZoneBack(Event):
    """A lost zone is there again."""

    zone: str


class Serving(Event):
    """How many replicas serve, by release."""

    by_release: dict[str, int]
    total: int


class CommandBegan(Event):
    """A command of somebody's own was started."""

    command: int
    argv: tuple[str, ...]


class CommandSaid(Event):
    """A line that a command printed."""

    command: int
    line: str
    is_error: bool = False
    """Whether it came on standard error."""


class CommandEnded(Event):
    """A command ended, or was ended."""

    command: int
    code: int | None
    """None: it did not end by itself, or was never started; negative: the signal that ended it."""
    seconds: float
    why: str = ""
    """Why it was ended, or could not be started."""
    dropped: int = 0
    """Lines that were not recorded: there were too many."""

    @property
    def has_failed(self) -> bool:
        return self.code != 0


class Observed(Event):
    """What was seen of a deployment that is not the lab's: never what the lab itself did."""

    who: str
    what: str  # started, ready, leaving, ended
    release: str = ""
    source: str = ""
    """By whose word: the engine, a command, answers."""


class EngineGone(Event):
    """The engine does not answer any more: whatever ran on it may be gone."""


class EngineBack(Event):
    """It answers again, and what the deployer does not look after was started anew."""

    started: tuple[str, ...] = ()
    """The containers that were."""


class MachineBusy(Event):
    """This machine has so much else to do that what comes late may be its fault."""

    load: float
    """The load average of the last minute."""
    cores: int


class WorkerBegan(Event):
    """A worker has its share of the users ready."""

    worker: int
    where: str
    users: int
    devices: int
    offset: int
    """Nanoseconds that its clock was behind the conductor's: so much was added to the times of what its users did."""
    uncertainty: int
    """Nanoseconds by which that may be wrong."""


class WorkerEnded(Event):
    """A worker's users have ended, or nothing is known of them any more."""

    worker: int
    operations: int
    """So many of theirs are in the record."""
    uncertainty: int
    """The most nanoseconds by which the offset of its clock may ever have been wrong."""
    lost: str = ""
    """Why the record lacks some of what they did; "" where it has all."""
    heard_until: int = 0
    """All that ended until then is in the record."""


class Trouble(Event):
    """The lab itself met something it did not expect."""

    what: str
    is_mistake: bool = False
    """Whether it is one of the journey's that every user makes: then nothing that was found means anything."""
    proves_nothing: bool = False
    """Whether by that mistake nothing could be seen to be lost: too little was checked, and nothing is unwell."""


AnyEvent = (
    RunBegan
    | RunEnded
    | PhaseBegan
    | ContainerEvent
    | Step
    | AppStopped
    | IdleClosed
    | NotReady
    | RolloutMoved
    | Scaled
    | Office
    | Strike
    | StrikeProved
    | WouldStrike
    | StrikeUndone
    | ZoneLost
    | ZoneBack
    | Serving
    | CommandBegan
    | CommandSaid
    | CommandEnded
    | Observed
    | EngineGone
    | EngineBack
    | MachineBusy
    | WorkerBegan
    | WorkerEnded
    | Trouble
)
