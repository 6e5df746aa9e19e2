"""The steps of a scenario as small state machines: begun, asked whether they are over, ended whatever happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from lab import record
from lab.chaos.monkey import Monkey
from lab.chaos.striker import Striker
from lab.clock import NS, Clock
from lab.deploy.desk import Desk
from lab.deploy.rollout import Ask, pick_slots
from lab.model import Release, Value
from lab.run.pinned_faults import Pinned
from lab.run.strike_steps import LosingZone, StrikingOnce
from lab.scenario.spec import FaultWish, Pace, Repeat, Reverse, Roll, Scale, Schedule, Settle, StepWish

JUDGED_AFTER = 1.0
"""Seconds beyond the time that a rollout is allowed, so that users are still there when it is over."""


class Step(Protocol):
    """Something that takes a while. `end` is called once after `begin`, however the run goes."""

    @property
    def text(self) -> str:
        """What is being done, for a person."""
        ...

    def begin(self) -> None: ...

    def is_over(self) -> bool: ...

    def end(self) -> None: ...


class Stage(Value):
    """What steps act on."""

    desk: Desk
    release: Callable[[str], Release]
    """The release that an image's name stands for."""
    hurry: Callable[[float], None]
    pin: Callable[[FaultWish], Pinned]
    make_monkey: Callable[..., Monkey]
    make_marksman: Callable[[Schedule], Monkey]
    striker: Striker
    report: Callable[[record.AnyEvent], None]
    random: Random
    clock: Clock
    deadline: int
    """When all of it must be over, monotonic nanoseconds."""
    rollout_within: float = 0.0
    """Seconds that the scenario allows a rollout; 0: as long as it takes."""


def make_step(wish: StepWish, stage: Stage) -> Step:
    """The step that a wish of the scenario file asks for."""
    step: Step
    if wish.settle is not None:
        step = Settling(wish.settle, stage)
    elif wish.roll is not None:
        step = Rolling(wish.roll, stage)
    elif wish.reverse is not None:
        step = Reversing(wish.reverse, stage)
    elif wish.fault is not None:
        step = Faulting(wish.fault, stage)
    elif wish.scale is not None:
        step = Scaling(wish.scale, stage)
    elif wish.pace is not None:
        step = Pacing(wish.pace, stage)
    elif wish.monkey is not None:
        told = "a leashed monkey only tells" if wish.monkey.leashed else "replicas that serve are struck at random"
        step = Striking(stage.make_monkey(wish.monkey, stage.random), told)
    elif wish.schedule is not None:
        step = Striking(stage.make_marksman(wish.schedule), "replicas are killed at given moments")
    elif wish.strike is not None:
        step = StrikingOnce(wish.strike, stage.striker, stage.desk.is_settled, stage.random, stage.clock)
    elif wish.lose_zone is not None:
        step = LosingZone(wish.lose_zone, stage.striker, stage.desk.is_settled, stage.clock)
    elif wish.repeat is not None:
        step = Repeating(wish.repeat, stage)
    else:
        step = Together([make_step(one, stage) for one in wish.together or ()])
    return step


class Settling:
    """Over when its time has passed and every slot serves."""

    def __init__(self, wish: Settle, stage: Stage) -> None:
        self._wish, self._stage = wish, stage
        self._until = 0

    @property
    def text(self) -> str:
        return f"users shop for {self._wish.seconds:g} s, nothing is broken"

    def begin(self) -> None:
        self._until = self._stage.clock.now() + int(self._wish.seconds * NS)

    def is_over(self) -> bool:
        return self._stage.clock.now() >= self._until and self._stage.desk.is_settled()

    def end(self) -> None:
        pass


class Rolling:
    """Over when every slot serves the new release, or, if that was given up, the old one again.

    Where it is a promise that rollouts end in time, one that does not is broken already and is waited for no longer.
    """

    def __init__(self, wish: Roll, stage: Stage) -> None:
        self._wish, self._stage = wish, stage
        self._until: int | None = None

    @property
    def text(self) -> str:
        return f"{self._wish.strategy} upgrade to {self._wish.to}"

    def begin(self) -> None:
        to = self._stage.release(self._wish.to)
        number = f"{self._stage.random.getrandbits(32):08x}"
        self._stage.desk.roll(to, self._wish.wanted_strategy, id=number, by="the scenario")
        if self._stage.rollout_within:
            self._until = self._stage.clock.now() + int((self._stage.rollout_within + JUDGED_AFTER) * NS)

    def is_over(self) -> bool:
        is_too_late = self._until is not None and self._stage.clock.now() >= self._until
        return is_too_late or self._stage.desk.is_settled()

    def end(self) -> None:
        pass


class Reversing:
    """Over when the old release serves everywhere again; asked for once the rollout is in the wanted phase."""

    def __init__(self, wish: Reverse, stage: Stage) -> None:
        self._wish, self._stage = wish, stage
        self._is_asked = False

    @property
    def text(self) -> str:
        return f"reversed once it is at {self._wish.at}"

    def begin(self) -> None:
        pass

    def is_over(self) -> bool:
        rollout = self._stage.desk.read().desired.rollout
        if not self._is_asked and rollout is not None and rollout.phase == self._wish.at:
            self._stage.desk.ask(Ask.REVERSE)
            self._is_asked = True
        return self._is_asked and self._stage.desk.is_settled()

    def end(self) -> None:
        pass


class Faulting:
    """Over when the fault was done; what it did is undone at the latest when the step ends."""

    def __init__(self, wish: FaultWish, stage: Stage) -> None:
        self._wish = wish
        self._pinned = stage.pin(wish)

    @property
    def text(self) -> str:
        where = f" of {self._wish.at.slot}" if self._wish.at.slot else ""
        return f"{self._wish.do} {self._wish.at.moment} {self._wish.at.action}{where}"

    def begin(self) -> None:
        pass

    def is_over(self) -> bool:
        return self._pinned.is_done

    def end(self) -> None:
        self._pinned.end()


class Scaling:
    """Over when every wanted slot serves and the others are empty."""

    def __init__(self, wish: Scale, stage: Stage) -> None:
        self._wish, self._stage = wish, stage

    @property
    def text(self) -> str:
        return "scaled to " + ", ".join(f"{count} in {zone}" for zone, count in self._wish.to.items())

    def begin(self) -> None:
        desired = self._stage.desk.read().desired
        self._stage.desk.scale(pick_slots(desired, self._wish.to))

    def is_over(self) -> bool:
        return self._stage.desk.is_settled()

    def end(self) -> None:
        pass


class Pacing:
    """Over at once."""

    def __init__(self, wish: Pace, stage: Stage) -> None:
        self._wish, self._stage = wish, stage

    @property
    def text(self) -> str:
        return f"every device acts about every {self._wish.think:g} s"

    def begin(self) -> None:
        self._stage.hurry(self._wish.think)

    def is_over(self) -> bool:
        return True

    def end(self) -> None:
        pass


class Striking:
    """Over when the monkey has made all its strikes."""

    def __init__(self, monkey: Monkey, text: str) -> None:
        self._monkey, self.text = monkey, text

    def begin(self) -> None:
        self._monkey.__enter__()

    def is_over(self) -> bool:
        return self._monkey.is_done

    def end(self) -> None:
        self._monkey.__exit__(None, None, None)


class Repeating:
    """Over at the end of the round in which its time ran out."""

    def __init__(self, wish: Repeat, stage: Stage) -> None:
        self._wish, self._stage = wish, stage
        self._until = 0
        self._left: list[StepWish] = []
        self._now: Step | None = None

    @property
    def text(self) -> str:
        return f"again and again for {self._wish.seconds:g} s"

    def begin(self) -> None:
        self._until = self._stage.clock.now() + int(self._wish.seconds * NS)
        self._left = list(self._wish.steps)
        self._next()

    def is_over(self) -> bool:
        if self._now is not None and not self._now.is_over():
            return False
        self.end()
        if not self._left and self._stage.clock.now() < self._until:
            self._left = list(self._wish.steps)
        return not self._next()

    def end(self) -> None:
        ended, self._now = self._now, None
        if ended is not None:
            ended.end()

    def _next(self) -> bool:
        """Begin the round's next step; False where there is none left."""
        if not self._left:
            return False
        step = self._now = make_step(self._left.pop(0), self._stage)
        self._stage.report(record.PhaseBegan(at=self._stage.clock.now(), name="round", text=step.text))
        step.begin()
        return True


class Together:
    """Over when all its steps are."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._begun: list[Step] = []

    @property
    def text(self) -> str:
        return "; ".join(step.text for step in self._steps)

    def begin(self) -> None:
        for step in self._steps:
            self._begun.append(step)
            step.begin()

    def is_over(self) -> bool:
        over = [step.is_over() for step in self._steps]  # each is asked: that is what drives some of them
        return all(over)

    def end(self) -> None:
        for step in self._begun:
            step.end()
