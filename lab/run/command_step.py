"""The step that runs a command of somebody's own while users are there."""

from __future__ import annotations

from collections.abc import Callable

from lab.clock import NS, Clock
from lab.errors import LabFault, WaitTimeout
from lab.run.command_process import CommandProcess
from lab.scenario.target_spec import CommandSpec

MakeCommand = Callable[[CommandSpec], CommandProcess]
"""Makes a command that is ended with the run at the latest."""


class CommandStep:
    """Over when the command has ended, whatever its exit code: that is for the verdict.

    What it left in the background goes on until the run ends. Raises WaitTimeout where it takes longer than it may,
    and LabFault where it can't be started.
    """

    def __init__(self, spec: CommandSpec, make: MakeCommand, clock: Clock) -> None:
        self._spec, self._clock = spec, clock
        self._command = make(spec)
        self._until = 0

    @property
    def text(self) -> str:
        return f"runs {self._spec.text}"

    @property
    def pending(self) -> str:
        said = f"; its last line: {self._command.last_line}" if self._command.last_line else ""
        return f"the command {self._spec.text} to end{said}"

    def begin(self) -> None:
        self._until = self._clock.now() + int(self._spec.within * NS)
        self._command.start()

    def is_over(self) -> bool:
        if self._command.error:
            raise LabFault(f"could not be started: {self._command.error}", at=self._spec.run[0], hint="ls -l")
        if self._command.is_over:
            return True
        if self._clock.now() >= self._until:
            said = f"; its last line: {self._command.last_line}" if self._command.last_line else ""
            what = f"the command did not end within {self._spec.within:g} s{said}"
            self._command.end(f"its {self._spec.within:g} s were over")
            raise WaitTimeout(what, at=self._spec.text, hint="a larger `within`")
        return False

    def end(self) -> None:
        """It is ended with the run."""
