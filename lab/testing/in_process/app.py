"""What an app must be to run as replicas in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from lab.model import Value


class AppRequest(NamedTuple):
    """One request as the balancer passes it on. Header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class AppAnswer(NamedTuple):
    """What a replica answers: `headers` are whole lines, such as a Set-Cookie."""

    status: int
    headers: tuple[str, ...] = ()
    body: bytes = b""


class InProcessApp(Protocol):
    """One replica's app. Called from one thread, one request at a time; what it does to its store is atomic."""

    def answer(self, request: AppRequest) -> AppAnswer: ...


class MakeApp(Value):
    """How replicas of one image are made."""

    make: Callable[[str, Any], InProcessApp]
    """Given the release's name and the store that all replicas of the cluster share."""
    ready_after: float = 0.05
    """Seconds from its start until it is ready; math.inf: never."""
    answers_after: float = 0.002
    """Seconds that it works on each request before it has done anything."""
    runs: Callable[[Sequence[str], Any], tuple[int, Sequence[str]]] | None = None
    """What comes of a command that is run once in it, given the command and the store: its exit code and its lines."""
    drains: bool = True
    """Whether it answers what it has begun when it is told to stop; it cuts it off otherwise."""
