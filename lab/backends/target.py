"""A deployment that somebody else performs: where users find it, and whether it is there. Nothing is done to it."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from urllib.parse import SplitResult

from lab.errors import UsageError
from lab.scenario.target_spec import HeaderSource, TargetSpec, port_of
from lab.users.head import HeaderNames
from lab.users.wire import Door

ANSWERS_WITHIN = 5.0
"""Seconds in which each door must answer one request before the lab sends it users."""


class Target:
    """The doors of a deployment that the lab neither makes nor removes."""

    name = "target"

    def __init__(self, spec: TargetSpec) -> None:
        self._spec = spec
        # Where only releases have names, that of another one is another replica's, too.
        names = HeaderNames(replica=_name(spec.replica or spec.release), release=_name(spec.release), edge=b"")
        self.doors = tuple(Door(host=_host(door), port=port_of(door), names=names) for door in spec.doors)

    @property
    def rate(self) -> float | None:
        """Requests a second at most, of all users together; None: as many as they send."""
        return self._spec.rate

    def describe(self) -> Mapping[str, object]:
        """What is watched, for the record."""
        return {"backend": self.name, "doors": [door.authority for door in self.doors]}

    def check(self) -> None:
        """Raise UsageError for a door that does not answer; each is asked once, and any status will do."""
        for url, door in zip(self._spec.urls, self.doors, strict=True):
            asked = http.client.HTTPConnection(door.host, door.port, timeout=ANSWERS_WITHIN)
            try:
                asked.request("GET", "/")
                asked.getresponse()
            except (OSError, http.client.HTTPException) as exc:
                why = str(exc) or type(exc).__name__
                raise UsageError(f"does not answer: {why}", at=url, hint=f"curl -v {url}") from exc
            finally:
                asked.close()


def _name(source: HeaderSource | None) -> bytes:
    return b"" if source is None else source.header.lower().encode()


def _host(door: SplitResult) -> str:
    return door.hostname or ""
