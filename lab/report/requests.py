"""Single requests, for whoever asks what happened to a user, at a moment, in a slot: a part of them in a report, all
of them where the record lies beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import msgspec

from lab.clock import NS
from lab.errors import RecordError, UsageError
from lab.model import Finding, Operation, Outcome, Value
from lab.record import ReadRecord
from lab.report.kinds import request_name
from lab.report.replay import LATE

MOST = 6_000
"""Requests of either sort, striking or plain, that a report holds: a megabyte."""
MOST_ASKED = 1_000
"""Those that one question is answered with, of either sort."""
AROUND = 10 * NS
"""Of a user who was hurt everything this near to it is kept."""
LONGEST_ANSWER = 120
OUTCOMES = {Outcome.OK: 0, Outcome.REFUSED: 1, Outcome.UNKNOWN: 2}


class TryRow(Value, array_like=True):
    """One try. Texts are numbers of words; -1: none."""

    after: float
    """Milliseconds from the request's begin until this try's."""
    took: float
    """Milliseconds."""
    result: int
    replica: int
    release: int
    edge: int
    """The slots that the balancer tried."""


class RequestLine(Value, array_like=True):
    """One request with its tries. Texts are numbers of words; -1: none."""

    begin: float
    """Seconds since the run began."""
    took: float
    """Milliseconds."""
    user: int
    device: int
    kind: int
    key: int
    outcome: int
    """0: ok, 1: refused, 2: nobody knows."""
    answer: int
    tries: tuple[TryRow, ...]
    is_witness: bool
    """A finding rests on it."""


class RequestTable(Value, omit_defaults=False):
    """Requests in the order of time, each text once."""

    words: tuple[str, ...]
    rows: tuple[RequestLine, ...]
    total: int
    """How many there are of which these are."""


class _Thinned:
    """At most so many of a sequence, evenly: every one, then every second, every fourth."""

    def __init__(self, most: int) -> None:
        self._most, self._stride, self._seen = most, 1, 0
        self._kept: list[tuple[int, Operation]] = []

    def add(self, operation: Operation) -> None:
        if self._seen % self._stride == 0:
            self._kept.append((self._seen, operation))
            if len(self._kept) > self._most:
                self._stride *= 2
                self._kept = [one for one in self._kept if one[0] % self._stride == 0]
        self._seen += 1

    def __iter__(self) -> Iterator[Operation]:
        return (operation for _, operation in self._kept)


class KeptRequests:
    """Takes operations and keeps those that somebody may ask for, in bounded memory.

    Kept first are those that failed, were repeated, prove a finding or are near one of their user's; of the plain ones
    an even part.
    """

    def __init__(self, began: int, findings: Iterable[Finding] = (), *, most: int = MOST) -> None:
        self._began, self._total = began, 0
        self._striking, self._plain = _Thinned(most), _Thinned(most)
        self._witnesses: set[int] = set()
        self._hurt: dict[str, list[int]] = {}
        for finding in findings:
            self._witnesses |= {one.id for one in finding.witness}
            if finding.user:
                self._hurt.setdefault(finding.user, []).append(finding.at)

    def take(self, operation: Operation) -> None:
        """One more, in any order."""
        self._total += 1
        (self._striking if self._is_striking(operation) else self._plain).add(operation)

    def table(self) -> RequestTable:
        """Those that were kept, in the order in which they began."""
        words: dict[str, int] = {}
        kept = sorted((*self._striking, *self._plain), key=lambda one: (one.begin, one.id))
        rows = tuple(self._row(one, words) for one in kept)
        return RequestTable(words=tuple(words), rows=rows, total=self._total)

    def _is_striking(self, operation: Operation) -> bool:
        if operation.outcome is not Outcome.OK or len(operation.tries) > 1 or operation.id in self._witnesses:
            return True
        return any(abs(operation.end - at) < AROUND for at in self._hurt.get(operation.user, ()))

    def _row(self, one: Operation, words: dict[str, int]) -> RequestLine:
        def word(text: object) -> int:
            return -1 if text is None else words.setdefault(_short(str(text)), len(words))

        tries = tuple(
            TryRow(
                after=_ms(done.begin - one.begin),
                took=_ms(done.end - done.begin),
                result=word(done.result),
                replica=word(done.replica),
                release=word(done.release),
                edge=word(" ".join(done.edge) or None),
            )
            for done in one.tries
        )
        key = " ".join(str(part) for part in (one.key, one.argument) if part is not None)
        return RequestLine(
            begin=round((one.begin - self._began) / NS, 3),
            took=_ms(one.end - one.begin),
            user=word(one.user),
            device=word(one.device),
            kind=word(request_name(one)),
            key=word(key or None),
            outcome=OUTCOMES[one.outcome],
            answer=word(one.answer),
            tries=tries,
            is_witness=one.id in self._witnesses,
        )


class Question(Value):
    """Which requests are asked for; whatever is not given does not matter."""

    user: str = ""
    slot: str = ""
    kind: str = ""
    since: float | None = None
    """Seconds since the run began."""
    until: float | None = None

    def fits(self, operation: Operation) -> bool:
        """By all but the time."""
        return (
            (not self.user or operation.user == self.user)
            and (not self.kind or request_name(operation) == self.kind)
            and (not self.slot or any(self._is_there(one.replica, one.edge) for one in operation.tries))
        )

    def _is_there(self, replica: str | None, edge: tuple[str, ...]) -> bool:
        return self.slot in edge or (replica or "").rpartition("-")[0] == self.slot


def question_of(given: Mapping[str, str]) -> Question:
    """A question as an address asks it. Raises UsageError for one that is none."""
    try:
        return msgspec.convert(dict(given), Question, strict=False)
    except msgspec.ValidationError as exc:
        raise UsageError(f"no such question: {exc}", at="/requests", hint="user, slot, kind, since, until") from exc


class RequestFinder:
    """Answers from a record, whether or not it is still being written."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / "history.jsonl"
        self._began: int | None = None

    def answer(self, given: Mapping[str, str]) -> bytes:
        """A RequestTable as JSON. Raises UsageError for what is no question, RecordError for an unreadable record."""
        return msgspec.json.encode(self.find(question_of(given)))

    def find(self, question: Question) -> RequestTable:
        """All that fit, or an even part of them where there are too many; those that went wrong come first."""
        if self._began is None and (self._folder / "events.jsonl").exists():
            self._began = next((event.at for event in ReadRecord(self._folder).events()), None)
        began = self._began or 0
        since = None if question.since is None else began + int(question.since * NS)
        until = None if question.until is None else began + int(question.until * NS)
        kept = KeptRequests(began, most=MOST_ASKED)
        for operation in self._between(since, until, question.user):
            if question.fits(operation):
                kept.take(operation)
        return kept.table()

    def _between(self, since: int | None, until: int | None, user: str) -> Iterator[Operation]:
        decoder, name = msgspec.json.Decoder(Operation), msgspec.json.encode(user) if user else b""
        try:
            with self._path.open("rb") as file:
                if since is not None:
                    _seek(file, since - LATE)
                for line in file:
                    if not line.endswith(b"\n"):
                        return  # it is being written
                    if name not in line:
                        continue
                    operation = decoder.decode(line)
                    if until is not None and operation.end > until + LATE:
                        return
                    if (since is None or operation.end >= since) and (until is None or operation.begin <= until):
                        yield operation
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as exc:
            raise RecordError(f"can't be read: {exc}", at=str(self._path)) from exc


def _seek(file: IO[bytes], at: int) -> None:
    """Go to the first line that ended at `at` or later, or to one a little before: lines lie in the order of time."""
    decoder = msgspec.json.Decoder(_Ended)
    low, high = 0, file.seek(0, 2)
    while high - low > 1 << 16:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        line = file.readline()
        if line.endswith(b"\n") and decoder.decode(line).end < at:
            low = middle
        else:
            high = middle
    file.seek(low)
    if low:
        file.readline()


class _Ended(Value, forbid_unknown_fields=False):
    end: int


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / NS * 1000, 1)


def _short(text: str) -> str:
    # The end tells more than the beginning: it is what was written last.
    return text if len(text) <= LONGEST_ANSWER else f"…{text[-LONGEST_ANSWER:]}"
