"""Who tells, beside users' answers, what happens inside a deployment that is not the lab's. Nothing is touched."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Literal

import msgspec

from lab import record
from lab.backends.compose_witness import compose_witness
from lab.backends.swarm_witness import swarm_witness
from lab.backends.target import Target, ask
from lab.clock import Clock
from lab.errors import UsageError
from lab.run.command_process import CommandProcess
from lab.scenario.target_spec import ReleaseSource
from lab.users.head import at_path

Report = Callable[[record.AnyEvent], None]
ASKED_EVERY = 1.0
"""Seconds between two looks which release is there."""
SHARE_OF_RATE = 0.1
"""Of the requests that may be sent, what these looks may take."""
MOST_SEEN = 100_000
"""Lines of a witness that are recorded."""


class Sighting(msgspec.Struct, frozen=True):
    """A line that a witness of one's own prints."""

    who: str
    what: Literal["started", "ready", "leaving", "ended"]
    release: str = ""


_decode = msgspec.json.Decoder(Sighting).decode


@contextmanager
def witnesses(target: Target, report: Report, clock: Clock, *, may_ask: Callable[[], bool]) -> Iterator[None]:
    """Everybody who bears witness of a target, until the block ends; what they see is reported from several threads.

    The doors are asked nothing where they must not be.
    """
    spec = target.spec
    with ExitStack() as stack:
        if spec.release is not None and spec.release.get is not None:
            stack.enter_context(VersionLook(target, spec.release, report, clock, may_ask))
        if spec.evidence is not None and spec.evidence.compose is not None:
            stack.enter_context(compose_witness(spec.evidence.compose, report, clock))
        elif spec.evidence is not None and spec.evidence.swarm is not None:
            stack.enter_context(swarm_witness(spec.evidence.swarm, report, clock))
        elif spec.evidence is not None:
            stack.enter_context(_command_witness(spec.evidence.command, report, clock))
        yield


def rate_of_looks(target: Target) -> float:
    """Requests a second that witnesses send to the doors: they count in what all together may send."""
    if target.spec.release is None or target.spec.release.get is None:
        return 0.0
    return 1 / _every(target)


def _every(target: Target) -> float:
    return ASKED_EVERY if target.rate is None else max(ASKED_EVERY, 1 / (SHARE_OF_RATE * target.rate))


class VersionLook:
    """Asks the doors in turn which release is there, and reports each one when it is seen first.

    It says nothing of who gave which answer: behind a balancer, the next request may go elsewhere.
    """

    def __init__(
        self, target: Target, source: ReleaseSource, report: Report, clock: Clock, may_ask: Callable[[], bool]
    ) -> None:
        self._may_ask = may_ask
        self._doors, self._every = target.doors, _every(target)
        self._source, self._report, self._clock = source, report, clock
        self._seen = set[str]()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="version look", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        turn = 0
        while True:
            with suppress(UsageError):  # it does not answer at the moment: its users will tell
                if self._may_ask():
                    self._look(turn)
            turn += 1
            if self._ending.wait(self._every):
                return

    def _look(self, turn: int) -> None:
        path = self._source.get or "/"
        status, _, body = ask(self._doors[turn % len(self._doors)], path)
        release = _release_in(body, self._source.json) if status == 200 else ""
        if release and release not in self._seen:
            self._seen.add(release)
            self._report(
                record.Observed(at=self._clock.now(), who="", what="ready", release=release, source=f"GET {path}")
            )


def _release_in(body: bytes, path: str | None) -> str:
    if path is None:
        return body.decode(errors="replace").strip()[:200]
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return at_path(msgspec.json.decode(body), path)
    return ""


@contextmanager
def _command_witness(argv: Sequence[str], report: Report, clock: Clock) -> Iterator[None]:
    """A program of somebody's own that prints what it sees. It should go on as long as the run does.

    One that ends by itself before, or prints what can't be understood, is trouble: nobody sees what happens any more.
    """
    is_ending = False
    named = " ".join(argv)

    def heard(event: record.AnyEvent) -> None:
        if isinstance(event, record.CommandSaid) and not event.is_error:
            report(_sighting(event, named))
        elif isinstance(event, record.CommandEnded) and not is_ending:
            how = event.why or f"ended with {event.code}"
            report(record.Trouble(at=event.at, what=f"the evidence command {named} is over: {how}"))

    command = CommandProcess(argv, heard, number=0, clock=clock, most_lines=MOST_SEEN)
    command.start()
    try:
        yield
    finally:
        is_ending = True
        command.end()


def _sighting(said: record.CommandSaid, named: str) -> record.Observed | record.Trouble:
    try:
        seen = _decode(said.line)
    except (msgspec.DecodeError, msgspec.ValidationError) as exc:
        return record.Trouble(at=said.at, what=f"the evidence command {named} printed what is no sighting: {exc}")
    return record.Observed(at=said.at, who=seen.who, what=seen.what, release=seen.release, source=named)
