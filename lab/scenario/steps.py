"""The steps of a scenario as small state machines: begun, asked whether they are over, ended whatever happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from lab import record
from lab.chaos.monkey import Monkey
from lab.clock import NS, Clock
from lab.deploy.deployer import Deployer
from lab.deploy.plan import Wanted
from lab.model import Value
from lab.scenario.file import Roll, Settle, StepWish


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

    deployer: Deployer
    make_monkey: Callable[..., Monkey]
    report: Callable[[record.AnyEvent], None]
    random: Random
    clock: Clock


def make_step(wish: StepWish, stage: Stage) -> Step:
    """The step that a wish of the scenario file asks for."""
    if wish.settle is not None:
        return Settling(wish.settle, stage)
    if wish.roll is not None:
        return Rolling(wish.roll, stage)
    if wish.monkey is not None:
        return Striking(stage.make_monkey(wish.monkey, stage.random))
    return Together([make_step(one, stage) for one in wish.together or ()])


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
        return self._stage.clock.now() >= self._until and self._stage.deployer.is_settled

    def end(self) -> None:
        pass


class Rolling:
    """Over when every slot serves the new release, or, if that did not get ready, the old one again."""

    def __init__(self, wish: Roll, stage: Stage) -> None:
        self._wish, self._stage = wish, stage

    @property
    def text(self) -> str:
        return f"rolling upgrade to {self._wish.to}, {self._wish.batch} at a time"

    def begin(self) -> None:
        wish, old = self._wish, self._stage.deployer.wanted
        new = wish.to.partition(":")[2] or wish.to
        self._stage.deployer.want(
            Wanted(
                release=new,
                previous=old.release,
                batch=wish.batch,
                pause=wish.pause,
                ready_within=wish.ready_within,
                grace=wish.grace,
            )
        )

    def is_over(self) -> bool:
        return self._stage.deployer.is_settled

    def end(self) -> None:
        pass


class Striking:
    """Over when the monkey has made all its strikes."""

    def __init__(self, monkey: Monkey) -> None:
        self._monkey = monkey

    @property
    def text(self) -> str:
        return "replicas that serve are killed at random"

    def begin(self) -> None:
        self._monkey.__enter__()

    def is_over(self) -> bool:
        return self._monkey.is_done

    def end(self) -> None:
        self._monkey.__exit__(None, None, None)


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
        return all(step.is_over() for step in self._steps)

    def end(self) -> None:
        for step in self._begun:
            step.end()
