"""A command that is run once in a container of somebody's own, told like any command: its begin, lines and end."""

from __future__ import annotations

from collections.abc import Callable

from lab import record
from lab.backends.protocol import RunOnce
from lab.clock import NS, Clock
from lab.model import Release
from lab.run.command_process import LONGEST_LINE, MOST_LINES
from lab.scenario.one_off_spec import OneOffSpec


class OneOff:
    """One run of it; `run` blocks until it is over and says whether it ended well."""

    def __init__(
        self,
        spec: OneOffSpec,
        service: str,
        run_once: RunOnce,
        report: Callable[[record.AnyEvent], None],
        *,
        number: int,
        clock: Clock,
    ) -> None:
        self._spec, self._service, self._run_once = spec, service, run_once
        self._report, self._number, self._clock = report, number, clock
        self._lines = 0
        self.last_line = ""

    def run(self, release: Release) -> bool:
        """Raises what the backend raises; the command's own failure is told, and no error."""
        began = self._clock.now()
        self._report(record.CommandBegan(at=began, command=self._number, argv=(self._service, *self._spec.run)))
        code: int | None = None
        why = "it could not be run"
        try:
            within = self._spec.within
            code = self._run_once(self._service, release, self._spec.run, within=within, hear=self._hear)
            why = "" if code is not None else f"its {within:g} s were over"
        finally:
            now = self._clock.now()
            self._report(
                record.CommandEnded(
                    at=now,
                    command=self._number,
                    code=code,
                    seconds=(now - began) / NS,
                    why=why,
                    dropped=max(0, self._lines - MOST_LINES),
                )
            )
        return code == 0

    def _hear(self, line: str) -> None:
        self._lines += 1
        self.last_line = line[:LONGEST_LINE]
        if self._lines <= MOST_LINES:
            said = record.CommandSaid(at=self._clock.now(), command=self._number, line=self.last_line)
            self._report(said)
