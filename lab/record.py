"""The record of a run: what everything that acts writes, and all that judges or shows ever reads.

runs/<id>/
  environment.json   the machine, the engine, the images, the seed
  scenario.json      what was asked for
  events.jsonl       one event a line: phases, container events, steps, strikes
  history.jsonl      one operation a line, in the order in which they ended
  verdict.json       what was found
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import msgspec

from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.errors import RecordError
from lab.model import Operation, Value

# ---------------------------------------------------------------- events


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


class Trouble(Event):
    """The lab itself met something it did not expect."""

    what: str


AnyEvent = (
    RunBegan
    | RunEnded
    | PhaseBegan
    | ContainerEvent
    | Step
    | AppStopped
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
    | Trouble
)

# ---------------------------------------------------------------- writing

FORMAT = 2
"""Counts up when a record of before can't be read in the same way any more. 2: environment.json says the format."""
_encoder = msgspec.json.Encoder()
_T = TypeVar("_T")


class RunRecord:
    """Writes one run's record, from any thread. Events reach the file at once, operations in small batches.

    Raises RecordError where the disk refuses; whatever was written before stays readable.
    """

    OPERATIONS_PER_WRITE = 64
    WRITTEN_WITHIN = NS // 4
    """Nanoseconds that an operation waits for its batch, as long as more of them come or `flush_due` is called."""

    def __init__(
        self, folder: Path, *, heard: Callable[[bytes], None] = lambda _: None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """`heard` is given each event's line after it was written."""
        self.folder, self._heard, self._clock = folder, heard, clock
        self._lock = threading.Lock()
        self._waiting: list[Operation] = []
        self._written = 0
        self.operations = 0
        """How many were given to it."""
        self._torn = set[IO[bytes]]()
        try:
            folder.mkdir(parents=True, exist_ok=False)
            self._events = (folder / "events.jsonl").open("wb", buffering=0)
            self._history = (folder / "history.jsonl").open("wb", buffering=0)
        except OSError as exc:
            raise _unwritable(folder, exc) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def now(self) -> int:
        return self._clock.now()

    def event(self, event: AnyEvent) -> None:
        """Append an event. May be called from any thread; when this returns it is with the system, as is all
        before it: it outlasts the lab, though not a machine that loses its power."""
        line = _encoder.encode(event) + b"\n"
        with self._lock:
            self._flush()
            self._write(self._events, line)
            self._heard(line)

    def operation(self, operation: Operation) -> None:
        """Append an operation; it is in the file at the next batch or at `close`."""
        with self._lock:
            self._waiting.append(operation)
            self.operations += 1
            is_due = self._clock.now() - self._written >= self.WRITTEN_WITHIN
            if is_due or len(self._waiting) >= self.OPERATIONS_PER_WRITE:
                self._flush()

    def flush(self) -> None:
        """Write what waits: from here on readers see all of it."""
        with self._lock:
            if not self._history.closed:
                self._flush()

    def flush_due(self) -> None:
        """Write what has waited long enough; to be called now and then, for when no more operations come."""
        if self._clock.now() - self._written >= self.WRITTEN_WITHIN:
            self.flush()

    def write(self, name: str, content: object) -> None:
        """Write one whole document, such as verdict.json; whoever reads meanwhile finds all of it or none."""
        path = self.folder / name
        try:
            write_whole(path, msgspec.json.format(_encoder.encode(content), indent=2) + b"\n")
        except OSError as exc:
            raise _unwritable(path, exc) from exc

    def close(self) -> None:
        """Write what waits and close the files; calling it again does nothing."""
        with self._lock:
            if not self._history.closed:
                self._flush()
                self._events.close()
                self._history.close()

    def _flush(self) -> None:
        self._written = self._clock.now()
        if self._waiting:
            lines = _encoder.encode_lines(self._waiting)
            self._waiting.clear()
            self._write(self._history, lines)

    def _write(self, file: IO[bytes], data: bytes) -> None:
        if file in self._torn:
            raise _unwritable(self.folder, "its last line was taken in part")
        try:
            taken = file.write(data)
        except (OSError, ValueError) as exc:
            raise _unwritable(self.folder, exc) from exc
        if taken != len(data):  # a raw write raises nothing then; what came after would make a line of both
            self._torn.add(file)
            raise _unwritable(self.folder, f"only {taken} of {len(data)} bytes were taken")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads meanwhile finds the old one or the new one, never a part. Raises OSError."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def written_by() -> dict[str, object]:
    """What a record says of the lab that wrote it: the format, and the version that reads it."""
    try:
        version = metadata.version("cluster-lab")
    except metadata.PackageNotFoundError:  # called from its sources
        version = ""
    return {"format": FORMAT, "lab": version}


def _unwritable(path: Path, exc: Exception | str) -> RecordError:
    return RecordError(f"the run's record can't be written: {exc}", at=str(path), hint="df -h .   # then run again")


# ---------------------------------------------------------------- reading


CHUNK = 1 << 16
"""Bytes that are decoded at once."""
LONGEST = 1 << 27
"""Bytes of one line, and of one document: what is longer was never written by a lab."""
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are no JSON, no text, or another shape than is wanted."""
_OTHER = "the record was changed or is not the lab's; run it again"


class ReadRecord:
    """Reads one run's record. A torn last line (a killed lab, a full disk) is skipped and counted.

    Raises RecordError, with file and line, for whatever this lab can't read: no such run, a record of a later format,
    lines and documents of another shape.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise RecordError("no such run", at=str(folder), hint="ls runs")
        self.folder = folder
        self._torn: set[str] = set()
        self.format: int | None = None
        """The format that it says it has; None in records from before there was one."""
        self._written_by = ""
        self._check_format()

    def _check_format(self) -> None:
        try:
            said = self.document("environment.json")
        except RecordError:  # raised again for whoever asks for that document
            return
        found = said.get("format") if isinstance(said, dict) else None
        if isinstance(found, int):
            self.format, self._written_by = found, str(said.get("lab") or "")
            if found > FORMAT:
                needed = f"cluster-lab {self._written_by}".strip()
                what = f"is of format {found}; this lab reads records up to format {FORMAT}"
                raise RecordError(what, at=str(self.folder / "environment.json"), hint=f"{needed} or later")

    @property
    def torn(self) -> int:
        """How many files ended within a line, of those that were read until now."""
        return len(self._torn)

    def events(self) -> Iterator[AnyEvent]:
        return self._lines("events.jsonl", msgspec.json.Decoder(AnyEvent))

    def history(self) -> Iterator[Operation]:
        """Every operation in the order in which they ended; memory does not grow with their number."""
        return self._lines("history.jsonl", msgspec.json.Decoder(Operation))

    def document(self, name: str) -> Any:
        """A whole document, or None where the run ended before it was written."""
        path = self.folder / name
        if not path.exists():
            return None
        try:
            with path.open("rb") as file:
                content = file.read(LONGEST + 1)
            if len(content) > LONGEST:
                raise RecordError(f"is larger than {LONGEST} bytes", at=str(path), hint=_OTHER)
            return msgspec.json.decode(content)
        except (OSError, *_UNREADABLE) as exc:
            raise RecordError(f"can't be read: {exc}", at=str(path), hint=_OTHER) from exc

    def _lines(self, name: str, decoder: msgspec.json.Decoder[_T]) -> Iterator[_T]:
        path = self.folder / name
        read = 0
        try:
            with path.open("rb") as file:
                for chunk in _chunks(file, path):
                    try:
                        decoded = decoder.decode_lines(chunk)
                    except _UNREADABLE:
                        decoded = self._one_by_one(chunk, decoder, path, read=read)
                    yield from decoded
                    read += len(decoded)
        except OSError as exc:
            raise RecordError(f"can't be read: {exc}", at=str(path), hint=_OTHER) from exc

    def _one_by_one(self, chunk: bytes, decoder: msgspec.json.Decoder[_T], path: Path, *, read: int) -> list[_T]:
        """What can be read of lines of which one is bad: all but one without an end, the file's last, must be good."""
        decoded: list[_T] = []
        for number, line in enumerate(filter(None, chunk.split(b"\n")), 1):
            try:
                decoded.append(decoder.decode(line))
            except _UNREADABLE as exc:
                is_torn = not chunk.endswith(b"\n") and chunk.endswith(line) and number == chunk.count(b"\n") + 1
                if not is_torn:
                    newer = f"; cluster-lab {self._written_by} wrote it" if self._written_by else ""
                    hint = f"a later lab may have written it{newer}" if _has_other_shape(exc) else _OTHER
                    raise RecordError(f"can't be read: {exc}", at=f"{path}, line {read + number}", hint=hint) from exc
                self._torn.add(path.name)
        return decoded


def _has_other_shape(exc: Exception) -> bool:
    return isinstance(exc, msgspec.ValidationError)


class FollowedRecord:
    """Reads one run's record while it is written: each call gives what was added since the last one.

    A line counts once its end is there. Raises RecordError for a line that can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read = {"events.jsonl": 0, "history.jsonl": 0}
        self._events: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
        self._operations = msgspec.json.Decoder(Operation)
        self._lines = {"events.jsonl": 0, "history.jsonl": 0}

    def events(self) -> list[AnyEvent]:
        return self._fresh("events.jsonl", self._events)

    def operations(self) -> list[Operation]:
        return self._fresh("history.jsonl", self._operations)

    def _fresh(self, name: str, decoder: msgspec.json.Decoder[_T]) -> list[_T]:
        path = self.folder / name
        try:
            with path.open("rb") as file:
                file.seek(self._read[name])
                whole, newline, _ = file.read().rpartition(b"\n")
            decoded = decoder.decode_lines(whole)
        except FileNotFoundError:
            return []
        except (OSError, *_UNREADABLE) as exc:
            at = f"{path}, after line {self._lines[name]}"
            raise RecordError(f"can't be read: {exc}", at=at, hint=_OTHER) from exc
        self._read[name] += len(whole) + len(newline)
        self._lines[name] += len(decoded)
        return decoded


def _chunks(file: IO[bytes], path: Path) -> Iterator[bytes]:
    """Whole lines, some hundred at a time; only the file's last may lack its end. Takes time in proportion to them."""
    lines: list[bytes] = []
    size = number = 0
    while line := file.readline(LONGEST):
        number += 1
        if len(line) == LONGEST and not line.endswith(b"\n"):
            raise RecordError(f"is longer than {LONGEST} bytes", at=f"{path}, line {number}", hint=_OTHER)
        lines.append(line)
        size += len(line)
        if size >= CHUNK:
            yield b"".join(lines)
            lines, size = [], 0
    if lines:
        yield b"".join(lines)
