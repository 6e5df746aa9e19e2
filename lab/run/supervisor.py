"""Waits of a run: while something is waited for the view goes on, and whatever must end the run ends the wait."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from lab import record
from lab.clock import NS, Clock
from lab.deploy.bearing import borne
from lab.errors import EngineAway, LabFault, RecordError, WaitTimeout
from lab.retry import wait_until
from lab.run.machine_load import MachineLoad
from lab.run.plain_steps import RunStep
from lab.run.run_state import RunState
from lab.run.view import QuietView, View

T = TypeVar("T")

LOOK_EVERY = 0.1
LEAST_FREE_MB = 200
HALT_ASKED_EVERY = 1.0
"""Seconds between two looks whether somebody has pulled the safety lever."""


class Supervisor:
    """Looks after one run, round after round, from the thread that conducts it.

    `check` raises what ended a part of the lab itself, if anything did. `serving` says how many replicas serve.
    While `may_stop` is set the scenario's stop conditions and the safety lever end a wait by raising Stopped.
    """

    def __init__(
        self,
        state: RunState,
        run_record: record.RunRecord,
        view: View,
        *,
        check: Callable[[], None],
        serving: Callable[[], int],
        halted: Callable[[], str],
        clock: Clock,
    ) -> None:
        self.view = view
        self.may_stop = False
        self._state, self._record, self._clock = state, run_record, clock
        self._check, self._serving, self._ask_halted = check, serving, halted
        self._halted = ""
        self._halt_asked_at = 0
        self._load = MachineLoad(clock)

    def wait(
        self, what: str, is_so: Callable[[], bool], *, within: float, seen: Callable[[], str] | None = None
    ) -> None:
        """Wait until it is so. Raises WaitTimeout, Stopped, or what ended a part of the lab.

        `seen` says what is still missing, for the error of a wait that took too long.
        """

        def look() -> bool:
            try:
                self.show()
                self._check_self()
            except OSError as exc:  # of the lab's own parts, where it means "not yet" of what is waited for
                raise LabFault(
                    f"part of the lab stopped: {type(exc).__name__}: {exc}", hint="see events.jsonl"
                ) from exc
            if self.may_stop:
                self.check_stop()
            return is_so()

        looked = borne(look, clock=self._clock)  # a state that is away for a moment ends no run
        wait_until(
            what, looked, within=within, every=LOOK_EVERY, next_step="see events.jsonl", seen=seen, clock=self._clock
        )

    def wait_step(self, name: str, step: RunStep, *, deadline: int, time_limit: float) -> None:
        """Wait until a step that has begun is over. Raises what `wait` does.

        `deadline` is in monotonic nanoseconds, `time_limit` the seconds that the scenario gives the whole run.
        """
        within = (deadline - self._clock.now()) / NS
        try:
            self.wait(f"the step {name!r} is over", step.is_over, within=max(within, 0))
        except WaitTimeout as exc:
            if self._clock.now() < deadline:  # the step's own wait, which says more
                raise
            over = f"the run's time (time_limit: {time_limit:g} s) was over"
            what = f"{over} in the step {name!r}, which waited for {step.pending}"
            raise WaitTimeout(what, hint="see events.jsonl; a larger time_limit if it was on its way") from exc

    def in_background(self, what: str, act: Callable[[], T], *, within: float) -> T:
        """Do something that blocks while the view goes on; gives what it gave, or raises what it raised."""
        given: list[T] = []
        raised: list[BaseException] = []

        def do() -> None:
            try:
                given.append(act())
            except BaseException as exc:  # noqa: BLE001 -- raised again below, in the thread that waits
                raised.append(exc)

        thread = threading.Thread(target=do, name=what, daemon=True)
        thread.start()
        self.wait(what, lambda: not thread.is_alive(), within=within)
        if raised:
            raise raised[0]
        return given[0]

    def check_stop(self) -> None:
        """Raises Stopped where the run's chaos must end now."""
        now = self._clock.now()
        if now - self._halt_asked_at > HALT_ASKED_EVERY * NS:
            self._halt_asked_at = now
            with suppress(EngineAway):  # nobody strikes anything there either
                self._halted = self._ask_halted()
        late = self._state.counts.late if self._state.counts is not None else ""
        self._state.stop_monitor.check(
            now,
            users_lost=len(self._state.oracle.users_hurt),
            serving=self._serving(),
            unwell=self._state.trouble or late,
            halted=self._halted,
        )

    def show(self) -> None:
        """Let the view show this moment. Raises LabFault, once, where its output is closed."""
        self._record.flush_due()
        news = self._state.news()
        try:
            if news:
                self.view.say(news)
            self.view.show(self._state.moment())
        except OSError as exc:
            self.view = QuietView()  # nobody sees any more how the cluster goes
            raise LabFault(f"output closed: {exc.strerror}", hint="lab run ... >FILE") from exc

    def _check_self(self) -> None:
        """Raise where the lab itself is in trouble: then nothing that was seen means anything."""
        self._check()
        busy = self._load.busy()
        if busy is not None:
            self._state.report(busy)
        free = shutil.disk_usage(self._record.folder).free // 2**20
        if free < LEAST_FREE_MB:
            raise RecordError(f"only {free} MB of disk are left", at=str(self._record.folder), hint="lab clean --all")
