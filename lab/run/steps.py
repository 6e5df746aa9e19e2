"""The steps of a scenario that act on a cluster, and how each kind of step is made there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from random import Random
from typing import Any

import msgspec

from lab import record
from lab.chaos.monkey import Monkey
from lab.chaos.schedule import MonkeySettings
from lab.chaos.striker import Striker
from lab.clock import NS, Clock
from lab.deploy.desk import Desk
from lab.deploy.rollout import Ending, RolloutRequest, pick_slots
from lab.errors import LabFault
from lab.model import Release, Value
from lab.run.command_step import CommandStep, MakeCommand
from lab.run.one_off import OneOff
from lab.run.pinned_faults import Pinned
from lab.run.plain_steps import IsShown, RepeatStep, RunStep, SettleStep, TogetherStep
from lab.run.strike_steps import LoseZoneStep, StrikeStep
from lab.scenario.one_off_spec import OneOffSpec
from lab.scenario.spec import (
    PaceSpec,
    PinnedFaultSpec,
    Repeat,
    Reverse,
    Roll,
    Scale,
    Schedule,
    Settle,
    StepSpec,
    name_of,
)
from lab.scenario.strike_spec import LoseZone, StrikeSpec
from lab.scenario.target_spec import CommandSpec

JUDGED_AFTER = 1.0
"""Seconds beyond the time that a rollout is allowed, so that users are still there when it is over."""


class Stage(Value):
    """What steps act on."""

    desk: Desk
    make_command: MakeCommand
    release: Callable[[str], Release]
    """The release that an image's name stands for."""
    hurry: Callable[[float], None]
    pin: Callable[[PinnedFaultSpec], Pinned]
    make_monkey: Callable[..., Monkey]
    make_scheduled_striker: Callable[[Schedule], Monkey]
    striker: Striker
    report: Callable[[record.AnyEvent], None]
    random: Random
    clock: Clock
    deadline: int
    """When all of it must be over, monotonic nanoseconds."""
    make_one_off: Callable[[OneOffSpec], OneOff]
    recreate: Callable[[str, Release], None]
    """Makes a worker of somebody's own anew from a release's image; takes as long as that one takes to stop."""
    is_shown: IsShown
    rollout_within: float = 0.0
    """Seconds that the scenario allows a rollout; 0: as long as it takes."""


def make_step(spec: StepSpec, stage: Stage) -> RunStep:
    """The step that an entry of the scenario file asks for."""
    name = name_of(spec)
    return _MADE[name](getattr(spec, name), stage)


class RollStep:
    """Over when every slot serves the new release, or, if that was given up, the old one again.

    What is to be run before is run first; where that fails, the release is given up before a replica of it starts.
    Where it is a promise that rollouts end in time, one that does not is broken already and is waited for no longer.
    Workers that go along do so once the new release serves everywhere.
    """

    def __init__(self, spec: Roll, stage: Stage) -> None:
        self._spec, self._stage = spec, stage
        self._until: int | None = None
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="workers")
        self._workers: Future[None] | None = None
        self._before = None if spec.before is None else stage.make_one_off(spec.before)
        self._prepared: Future[bool] | None = None
        self._is_rolling = False

    @property
    def text(self) -> str:
        along = f", with {', '.join(self._spec.along)}" if self._spec.along else ""
        return f"{self._spec.strategy} upgrade to {self._spec.to}{along}"

    @property
    def pending(self) -> str:
        if self._spec.before is not None and self._before is not None and not self._is_rolling:
            said = f"; its last line: {self._before.last_line}" if self._before.last_line else ""
            return f"{self._spec.before.text} to end, before the {self.text}{said}"
        return f"the {self.text} to end; {self._stage.desk.unsettled()}"

    @property
    def _release(self) -> Release:
        of_image = self._stage.release(self._spec.to)
        return msgspec.structs.replace(of_image, name=self._spec.name, env=self._spec.env)

    def begin(self) -> None:
        if self._before is None:
            self._roll()
        else:
            self._prepared = self._beside.submit(self._before.run, self._release)

    def _roll(self) -> None:
        self._is_rolling = True
        number = f"{self._stage.random.getrandbits(32):08x}"
        self._stage.desk.roll(self._release, self._spec.wanted_strategy, id=number, by="the scenario")
        if self._stage.rollout_within:
            self._until = self._stage.clock.now() + int((self._stage.rollout_within + JUDGED_AFTER) * NS)

    def is_over(self) -> bool:
        if self._prepared is not None and not self._is_rolling:
            if not self._prepared.done():
                return False
            if not self._prepared.result():
                return True
            self._roll()
        is_too_late = self._until is not None and self._stage.clock.now() >= self._until
        return is_too_late or (self._stage.desk.is_settled() and self._workers_are_along())

    def end(self) -> None:
        self._beside.shutdown()

    def _workers_are_along(self) -> bool:
        """Whether they are, or need not be. Raises what went wrong with them."""
        rollout = self._stage.desk.read().desired.rollout
        if not self._spec.along or rollout is None or rollout.ending is not Ending.DONE:
            return True
        if self._workers is None:
            self._workers = self._beside.submit(self._take_along)
        if self._workers.done():
            self._workers.result()
        return self._workers.done()

    def _take_along(self) -> None:
        to = self._release
        for name in self._spec.along:
            self._stage.recreate(name, to)
            now = self._stage.clock.now()
            self._stage.report(
                record.Step(at=now, action="recreate", slot="", replica=name, release=to.name, why="along")
            )


class ReverseStep:
    """Over when the old release serves everywhere again; asked for once the rollout is in the wanted phase.

    There is nothing to reverse where the release was given up before that.
    """

    def __init__(self, spec: Reverse, stage: Stage) -> None:
        self._spec, self._stage = spec, stage
        self._is_asked = self._is_needless = False

    @property
    def text(self) -> str:
        return f"reversed once it is at {self._spec.at}"

    @property
    def pending(self) -> str:
        if not self._is_asked:
            return f"the rollout to be in phase {self._spec.at}, to reverse it; {self._stage.desk.unsettled()}"
        return f"the reversed rollout to end; {self._stage.desk.unsettled()}"

    def begin(self) -> None:
        pass

    def is_over(self) -> bool:
        rollout = self._stage.desk.read().desired.rollout
        if not self._is_asked and rollout is not None and rollout.phase == self._spec.at:
            self._stage.desk.ask(RolloutRequest.REVERSE)
            self._is_asked = True
        return self._is_needless or (self._is_asked and self._stage.desk.is_settled())

    def others_are_over(self) -> None:
        """Raises LabFault where the rollout was done and nobody saw it in the wanted phase."""
        if self._is_asked:
            return
        rollout = self._stage.desk.read().desired.rollout
        if rollout is not None and rollout.ending is Ending.DONE:
            what = f"the rollout was done, and nobody saw it in phase {self._spec.at}: nothing was reversed"
            raise LabFault(what, at="reverse", hint="a phase that lasts longer: pause, hold or keep")
        self._is_needless = True

    def end(self) -> None:
        pass


class PinnedFaultStep:
    """Over when the fault was done; what it did is undone at the latest when the step ends."""

    def __init__(self, spec: PinnedFaultSpec, stage: Stage) -> None:
        self._spec = spec
        self._pinned = stage.pin(spec)

    @property
    def text(self) -> str:
        where = f" of {self._spec.at.slot}" if self._spec.at.slot else ""
        return f"{self._spec.do} {self._spec.at.moment} {self._spec.at.action}{where}"

    @property
    def pending(self) -> str:
        return f"its moment to come: {self.text}"

    def begin(self) -> None:
        pass

    def is_over(self) -> bool:
        return self._pinned.is_done

    def end(self) -> None:
        self._pinned.end()


class ScaleStep:
    """Over when every wanted slot serves and the others are empty."""

    def __init__(self, spec: Scale, stage: Stage) -> None:
        self._spec, self._stage = spec, stage

    @property
    def text(self) -> str:
        return "scaled to " + ", ".join(f"{count} in {zone}" for zone, count in self._spec.to.items())

    @property
    def pending(self) -> str:
        return f"the cluster to be {self.text}; {self._stage.desk.unsettled()}"

    def begin(self) -> None:
        desired = self._stage.desk.read().desired
        self._stage.desk.scale(pick_slots(desired, self._spec.to))

    def is_over(self) -> bool:
        return self._stage.desk.is_settled()

    def end(self) -> None:
        pass


class PaceStep:
    """Over at once."""

    def __init__(self, spec: PaceSpec, stage: Stage) -> None:
        self._spec, self._stage = spec, stage

    @property
    def text(self) -> str:
        return f"every device acts about every {self._spec.think:g} s"

    @property
    def pending(self) -> str:
        return "nothing"

    def begin(self) -> None:
        self._stage.hurry(self._spec.think)

    def is_over(self) -> bool:
        return True

    def end(self) -> None:
        pass


class MonkeyStep:
    """Over when the monkey has made all its strikes."""

    def __init__(self, monkey: Monkey, text: str) -> None:
        self._monkey, self.text = monkey, text

    @property
    def pending(self) -> str:
        return f"all of its strikes to be made: {self.text}"

    def begin(self) -> None:
        self._monkey.__enter__()

    def is_over(self) -> bool:
        return self._monkey.is_done

    def end(self) -> None:
        self._monkey.__exit__(None, None, None)


def _monkey(spec: MonkeySettings, stage: Stage) -> MonkeyStep:
    told = "a leashed monkey only reports" if spec.leashed else "replicas that serve are struck at random"
    return MonkeyStep(stage.make_monkey(spec, stage.random), told)


def _schedule(spec: Schedule, stage: Stage) -> MonkeyStep:
    return MonkeyStep(stage.make_scheduled_striker(spec), "replicas are killed at given moments")


def _strike(spec: StrikeSpec, stage: Stage) -> StrikeStep:
    desk = stage.desk
    return StrikeStep(spec, stage.striker, desk.is_settled, stage.random, stage.clock, unsettled=desk.unsettled)


def _lose_zone(spec: LoseZone, stage: Stage) -> LoseZoneStep:
    return LoseZoneStep(spec, stage.striker, stage.desk.is_settled, stage.clock, unsettled=stage.desk.unsettled)


def _command(spec: CommandSpec, stage: Stage) -> CommandStep:
    return CommandStep(spec, stage.make_command, stage.clock)


def _settle(spec: Settle, stage: Stage) -> SettleStep:
    return SettleStep(spec, stage.clock, stage.desk, stage.is_shown)


def _repeat(spec: Repeat, stage: Stage) -> RepeatStep:
    return RepeatStep(spec, partial(make_step, stage=stage), stage.report, stage.clock, stage.is_shown)


def _together(specs: Sequence[StepSpec], stage: Stage) -> TogetherStep:
    return TogetherStep([make_step(one, stage) for one in specs])


_MADE: Mapping[str, Callable[[Any, Stage], RunStep]] = {
    "settle": _settle,
    "roll": RollStep,
    "reverse": ReverseStep,
    "fault": PinnedFaultStep,
    "scale": ScaleStep,
    "pace": PaceStep,
    "monkey": _monkey,
    "schedule": _schedule,
    "repeat": _repeat,
    "strike": _strike,
    "lose_zone": _lose_zone,
    "command": _command,
    "together": _together,
}
"""How each kind of step is made, by its key in the file."""
