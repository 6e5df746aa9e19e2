"""Runs a scenario against a deployment that stands already, and writes its record; judging is the oracle's business.

The order is that of every run, without a cluster: users logged in, the scenario's steps, no more actions, everybody
reads back all that is theirs. What a command started is ended with the run; the deployment is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from random import Random
from typing import Any

import msgspec

from lab import record
from lab.backends.target import Target
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.errors import LabFault
from lab.report.fold import CLEAN_UP
from lab.run.at_work import at_work
from lab.run.command_process import CommandProcess
from lab.run.command_step import CommandStep
from lab.run.crowds import make_crowd, own_user_of
from lab.run.environment import environment_of_target
from lab.run.outside_strike import Opted, OutsideStrikeStep
from lab.run.plain_steps import RepeatStep, RunStep, SettleStep, TogetherStep
from lab.run.run_state import RunState
from lab.run.stop_monitor import Stopped
from lab.run.supervisor import Supervisor
from lab.run.view import View
from lab.run.witnesses import rate_of_looks, witnesses
from lab.scenario.spec import Scenario, StepSpec, UsersSpec, name_of
from lab.scenario.strike_spec import StrikeSpec
from lab.scenario.target_spec import CommandSpec
from lab.users import Crowd
from lab.users.loading import MakeUser
from lab.users.turns import Turns

LONGEST_REST = 20.0
"""Seconds of rest that a target may ask for and users still come back afterwards, to read what is theirs."""
REQUESTS_PER_PHASE = 20
"""Requests of one device for which there must be time in each phase around the steps, where the rate is bounded."""


class Watcher:
    """One run against a target; its record holds everything that was seen."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        target: Target,
        run_record: record.RunRecord,
        view: View,
        *,
        repeat: str = "",
        halted: Callable[[], str] = lambda: "",
        own_user: MakeUser | None = None,
        opted: Opted | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._scenario, self._seed, self._target, self._repeat = scenario, seed, target, repeat
        self._record, self._clock = run_record, clock
        self._own_user = own_user or own_user_of(scenario.users)
        self._crowd: Crowd | None = None
        # What the target has kept from earlier runs must not be taken for what this one's users did.
        self._prefix = f"w{int(clock.wall().timestamp()):x}{run_record.folder.name[-4:]}"
        self._commands = self._strikes = 0
        self._opted, self._random = opted, Random(seed)
        self._deadline = 0
        self._stack = ExitStack()
        looks = rate_of_looks(target)
        self._turns = Turns(None if target.rate is None else target.rate - looks)
        self._has_told_held = False
        self._seen = RunState(scenario, run_record, clock)
        self._supervisor = Supervisor(
            self._seen, run_record, view, check=self._check, serving=lambda: 0, halted=halted, clock=clock
        )

    def run(self) -> None:
        """Do the scenario. Raises LabFault for whatever is the lab's own trouble."""
        scenario, clock = self._scenario, self._clock
        self._record.write("scenario.json", scenario)
        run, seed = self._record.folder.name, self._seed
        told = environment_of_target(self._target, scenario, run=run, seed=seed, repeat=self._repeat, clock=clock)
        self._record.write("environment.json", {**told, "accounts": f"{self._prefix}-..."})
        users = bounded(scenario.users, self._target.rate)
        devices = users.count + users.doubled
        slower = 0.0 if self._target.rate is None else REQUESTS_PER_PHASE * devices / self._target.rate
        where = ", ".join(door.origin for door in self._target.doors)
        with self._stack:
            self._stack.enter_context(witnesses(self._target, self._seen.report, clock, may_ask=self._may_ask))
            crowd = self._crowd = self._stack.enter_context(self._make_crowd(users))
            self._stack.callback(self._begin_clean_up)
            with at_work(crowd, self._seen, self._supervisor, clock, where=where, slower=slower):
                self._deadline = clock.now() + int(scenario.time_limit * NS)
                try:
                    for spec in scenario.steps:
                        self._do(spec)
                except Stopped as exc:
                    self._seen.report(record.Trouble(at=clock.now(), what=exc.what))
                    if self._turns.held > LONGEST_REST:
                        raise LabFault("so users did not come back to read what is theirs") from exc

    def _do(self, spec: StepSpec) -> None:
        """Do one step to its end."""
        step, name = self._make_step(spec), name_of(spec)
        self._seen.report(record.PhaseBegan(at=self._clock.now(), name=name, text=step.text))
        self._supervisor.show()
        self._supervisor.may_stop = True
        try:
            step.begin()
            self._supervisor.wait_step(name, step, deadline=self._deadline, time_limit=self._scenario.time_limit)
        finally:
            self._supervisor.may_stop = False
            step.end()

    def _make_step(self, spec: StepSpec) -> RunStep:
        """The step that an entry of the scenario file asks for; any other was refused when that was read."""
        name, clock = name_of(spec), self._clock

        def strike(one: StrikeSpec) -> RunStep:
            if self._opted is None:
                raise LabFault("nothing of a target may be struck", at="strike", hint="lab watch --strike")
            self._strikes += 1
            return OutsideStrikeStep(one, self._opted, self._seen.report, self._random, clock, number=self._strikes)

        made: Mapping[str, Callable[[Any], RunStep]] = {
            "strike": strike,
            "settle": lambda one: SettleStep(one, clock, None, self._seen.is_shown),
            "command": lambda one: CommandStep(one, self._make_command, clock),
            "repeat": lambda one: RepeatStep(one, self._make_step, self._seen.report, clock, self._seen.is_shown),
            "together": lambda some: TogetherStep([self._make_step(one) for one in some]),
        }
        return made[name](getattr(spec, name))

    def _make_command(self, spec: CommandSpec) -> CommandProcess:
        """Ended, with all that it started, when the run is."""
        self._commands += 1
        command = CommandProcess(spec.run, self._seen.report, number=self._commands, clock=self._clock)
        self._stack.callback(command.end)
        return command

    def _make_crowd(self, users: UsersSpec) -> Crowd:
        return make_crowd(
            self._target.doors,
            users,
            own_user=self._own_user,
            first_user=1,
            random=Random(self._seed),
            on_operation=self._seen.operation,
            clock=self._clock,
            turns=self._turns,
            prefix=self._prefix,
        )

    def _may_ask(self) -> bool:
        """Whether nobody was told to leave the target alone."""
        return not self._turns.held

    def _begin_clean_up(self) -> None:
        """However the run ended. Whoever has to clean up after it finds the names of its users."""
        if self._crowd is not None:
            self._record.write("accounts.json", [user.name for user in self._crowd.users])
        what = "what commands left running is ended; the target stays as it is"
        self._seen.report(record.PhaseBegan(at=self._clock.now(), name=CLEAN_UP, text=what))
        self._crowd = None

    def _check(self) -> None:
        """Raise what ended the users, if anything did, or that the target wants to be left alone."""
        if self._crowd is not None:
            self._crowd.check()
            self._seen.counts = self._crowd.counts()
        if self._turns.held and not self._has_told_held:
            self._has_told_held = True
            what = f"stopped: the target answered 429 and asked for {self._turns.held:g} s of rest (Retry-After)"
            raise Stopped(what, hint="fewer users, or a lower rate")


def bounded(users: UsersSpec, rate: float | None) -> UsersSpec:
    """The users, thinking as long as it takes for their actions to stay within a rate: each is one request at least.

    The requests themselves are held to the rate on the wire.
    """
    if rate is None:
        return users
    return msgspec.structs.replace(users, think=max(users.think, (users.count + users.doubled) / rate))
