"""The steps of a scenario as small state machines: begun, asked whether they are over, ended whatever happened.

Those here need no cluster of the lab's: they let time pass, or are made of other steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from lab import record
from lab.clock import NS, Clock
from lab.deploy.desk import Desk
from lab.scenario.spec import Repeat, Settle, StepSpec


class RunStep(Protocol):
    """Something that takes a while. `end` is called once after `begin`, however the run goes."""

    @property
    def text(self) -> str:
        """What is being done, for a person."""
        ...

    @property
    def pending(self) -> str:
        """What it still waits for and what is missing, for a person; asked where the run's time is over."""
        ...

    def begin(self) -> None: ...

    def is_over(self) -> bool: ...

    def end(self) -> None: ...


@runtime_checkable
class FollowsOthers(Protocol):
    """What a step also is that waits for something that a step beside it does."""

    def others_are_over(self) -> None:
        """None of those beside it does anything any more. Raises LabFault where that proves nothing."""
        ...


IsShown = Callable[[float], bool]
"""Whether the run shows that a smaller share of its actions fails than this, or that it can't show it any more."""


class SettleStep:
    """Over when its time has passed, every slot serves, and what it is to show is shown."""

    def __init__(self, spec: Settle, clock: Clock, desk: Desk | None, is_shown: IsShown) -> None:
        """`desk` is where the cluster's state is known; None: nobody knows of a target's."""
        self._spec, self._clock, self._desk, self._is_shown = spec, clock, desk, is_shown
        self._until = 0

    @property
    def text(self) -> str:
        return f"users shop for {self._spec.seconds:g} s{_longer(self._spec.until)}, nothing is broken"

    @property
    def pending(self) -> str:
        time = f"its {self._spec.seconds:g} s to pass{_longer(self._spec.until)}"
        return time if self._desk is None else f"{time} and every slot to serve; {self._desk.unsettled()}"

    def begin(self) -> None:
        self._until = self._clock.now() + int(self._spec.seconds * NS)

    def is_over(self) -> bool:
        if self._clock.now() < self._until or (self._spec.until and not self._is_shown(self._spec.until)):
            return False
        return self._desk is None or self._desk.is_settled()

    def end(self) -> None:
        pass


class RepeatStep:
    """Over at the end of the round in which its time ran out, and what it is to show was shown."""

    def __init__(
        self,
        spec: Repeat,
        make: Callable[[StepSpec], RunStep],
        report: Callable[[record.AnyEvent], None],
        clock: Clock,
        is_shown: IsShown,
    ) -> None:
        self._spec, self._make, self._report, self._clock = spec, make, report, clock
        self._is_shown = is_shown
        self._until = 0
        self._left: list[StepSpec] = []
        self._now: RunStep | None = None

    @property
    def text(self) -> str:
        return f"again and again for {self._spec.seconds:g} s{_longer(self._spec.until)}"

    @property
    def pending(self) -> str:
        return f"its round to end: {self._now.pending if self._now is not None else 'no step is under way'}"

    def begin(self) -> None:
        self._until = self._clock.now() + int(self._spec.seconds * NS)
        self._left = list(self._spec.steps)
        self._next()

    def is_over(self) -> bool:
        if self._now is not None and not self._now.is_over():
            return False
        self.end()
        if not self._left and self._goes_on():
            self._left = list(self._spec.steps)
        return not self._next()

    def end(self) -> None:
        ended, self._now = self._now, None
        if ended is not None:
            ended.end()

    def _goes_on(self) -> bool:
        if self._clock.now() < self._until:
            return True
        return bool(self._spec.until) and not self._is_shown(self._spec.until)

    def _next(self) -> bool:
        """Begin the round's next step; False where there is none left."""
        if not self._left:
            return False
        step = self._now = self._make(self._left.pop(0))
        self._report(record.PhaseBegan(at=self._clock.now(), name="round", text=step.text))
        step.begin()
        return True


def _longer(until: float) -> str:
    return f" and until fewer than {until:g} of the actions can fail" if until else ""


class TogetherStep:
    """Over when all its steps are. Those that wait for what others do are told when no other is left."""

    def __init__(self, steps: Sequence[RunStep]) -> None:
        self._steps = steps
        self._begun: list[RunStep] = []
        self._left = list(steps)

    @property
    def text(self) -> str:
        return "; ".join(step.text for step in self._steps)

    @property
    def pending(self) -> str:
        return " and for ".join(step.pending for step in self._left)

    def begin(self) -> None:
        for step in self._steps:
            self._begun.append(step)
            step.begin()

    def is_over(self) -> bool:
        self._left = [step for step in self._steps if not step.is_over()]  # each is asked: that drives some of them
        following = [step for step in self._left if isinstance(step, FollowsOthers)]
        if len(following) == len(self._left):
            for step in following:
                step.others_are_over()
        return not self._left

    def end(self) -> None:
        for step in self._begun:
            step.end()
