"""Kills deployers with SIGKILL, at every step boundary and at random, and looks how every rollout ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from random import Random
from statistics import median

from lab import record
from lab.backends.protocol import Backend
from lab.clock import NS, SYSTEM_CLOCK
from lab.deploy.rollout import Canary, DrainThenMove, RedBlack, Rolling, Strategy
from lab.errors import ExitCode
from lab.experiments.rehearsal import OnBoundary, Rehearsal, Rolled, rehearsal
from lab.model import Value
from lab.run.deployer_processes import DeployerProcess

Say = Callable[[str], None]

ALONE: tuple[Strategy, ...] = (Rolling(), RedBlack(keep=0.2))
"""Whose boundaries may each get a rollout of their own in which a deployer dies there."""
ALONG: tuple[Strategy, ...] = (DrainThenMove(), Canary(shares=(0.3, 1.0), hold=0.2))
"""Whose boundaries share a rollout: one deployer dies at each of them."""
SHORT: tuple[Strategy, ...] = (RedBlack(keep=0.2), DrainThenMove())
"""What a short sweep has: whatever a deployer ever does is done by one of these."""
BOUNDARIES_MOST = 60
"""More than any rollout of three slots has."""
BOUNDARIES_BETWEEN = 12
ROLLS_MOST = 200


class KillSweepSpec(Value):
    """How much to kill."""

    each_boundary: bool
    """Whether each boundary of ALONE's rollouts gets one of its own; else SHORT's share one each."""
    random_kills: int
    seed: int


class KillSweepResult(Value):
    """What came of it all."""

    kills: int
    rollouts: int
    wrong: tuple[str, ...]
    below_floor: int
    users_hurt: int
    retried: int
    failed: int
    operations: int
    resumed: tuple[float, ...]
    """Seconds from a kill to the next act of another deployer."""
    left: tuple[str, ...] = ()
    """What could not be removed in the end, in words."""

    @property
    def line(self) -> str:
        """The one line of counts."""
        took = f"resumed in {median(self.resumed):.1f} s (at most {max(self.resumed):.1f})" if self.resumed else ""
        return (
            f"sweep: {self.kills} kills of a deployer in {self.rollouts} rollouts, {len(self.wrong)} wrong ends,"
            f" {self.below_floor} below the floor, {self.users_hurt} users hurt, {self.failed} of {self.operations}"
            f" operations failed ({self.retried} retried), {took}"
        )

    @property
    def is_good(self) -> bool:
        """Whether nothing went wrong, and something was killed at all."""
        return bool(self.kills) and not (self.wrong or self.below_floor or self.users_hurt)


class _Killer:
    """Kills whoever reaches a boundary that it is waiting for, and times the next act."""

    def __init__(self, stage: Rehearsal) -> None:
        self._stage = stage
        self.kills = 0
        self.resumed: list[float] = []
        self._killed_at: int | None = None
        self._lock = threading.Lock()
        stage.on_step = self._note_step

    def kill(self, deployer: DeployerProcess) -> None:
        crew = self._stage.crew
        assert crew is not None  # noqa: S101 -- the rehearsal has one while it lasts
        if not crew.kill(deployer):
            return
        with self._lock:
            self.kills += 1
            self._killed_at = SYSTEM_CLOCK.now()

    def _note_step(self, step: record.Step) -> None:
        with self._lock:
            if self._killed_at is not None and step.at > self._killed_at:
                self.resumed.append((step.at - self._killed_at) / NS)
                self._killed_at = None


def sweep_kills(backend: Backend, spec: KillSweepSpec, say: Say) -> KillSweepResult:
    """Do all of it on one cluster, and say a line for each part."""
    rolled: list[Rolled] = []
    with rehearsal(backend, "sweep", spec.seed) as stage:
        killer = _Killer(stage)
        for strategy in ALONE if spec.each_boundary else ():
            rolled += _kill_at_each(stage, killer, strategy, say)
        for strategy in ALONG if spec.each_boundary else SHORT:
            rolled += [_kill_along(stage, killer, strategy, say)]
        rolled += _kill_at_random(stage, killer, spec, say)
    hurt = {finding.user for finding in stage.finish()}
    return KillSweepResult(
        kills=killer.kills,
        rollouts=len(rolled),
        wrong=tuple(one.wrong for one in rolled if one.wrong),
        below_floor=sum(one.fewest_running < one.floor for one in rolled),
        users_hurt=len(hurt),
        retried=sum(one.retried for one in rolled),
        failed=sum(one.failed for one in rolled),
        operations=sum(one.operations for one in rolled),
        resumed=tuple(killer.resumed),
        left=tuple(stage.left),
    )


def _name(strategy: Strategy) -> str:
    return str(strategy.__struct_config__.tag)


class _AtBoundary:
    """Kills at the n-th boundary of a rollout, counted over all its deployers."""

    def __init__(self, killer: _Killer, number: int) -> None:
        self._killer, self._left = killer, number

    def __call__(self, deployer: DeployerProcess, _moment: str, _step: record.Step) -> None:
        self._left -= 1
        if self._left == 0:
            self._killer.kill(deployer)


class _AtEachOnce:
    """Kills wherever no deployer of this rollout has died yet."""

    def __init__(self, killer: _Killer) -> None:
        self._killer = killer
        self._seen: set[tuple[str, str, str]] = set()

    def __call__(self, deployer: DeployerProcess, moment: str, step: record.Step) -> None:
        place = (moment, step.action, step.slot or step.why)
        if place not in self._seen:
            self._seen.add(place)
            self._killer.kill(deployer)


class _AtRandom:
    """Kills at random moments: a few boundaries on, and then somewhere before the next one."""

    def __init__(self, killer: _Killer, random: Random, until: int) -> None:
        self._killer, self._random, self._until = killer, random, until
        self._left = random.randrange(1, BOUNDARIES_BETWEEN)

    def __call__(self, deployer: DeployerProcess, _moment: str, _step: record.Step) -> None:
        self._left -= 1
        if self._left <= 0 and self._killer.kills < self._until:
            self._left = self._random.randrange(1, BOUNDARIES_BETWEEN)
            threading.Timer(self._random.uniform(0, 0.08), self._kill, (deployer,)).start()

    def _kill(self, deployer: DeployerProcess) -> None:
        if not deployer.has_ended:
            self._killer.kill(deployer)


def _roll(stage: Rehearsal, strategy: Strategy, on_boundary: OnBoundary) -> Rolled:
    stage.on_boundary = on_boundary
    try:
        return stage.roll(strategy)
    finally:
        stage.on_boundary = None


def _kill_at_each(stage: Rehearsal, killer: _Killer, strategy: Strategy, say: Say) -> Iterable[Rolled]:
    """One rollout for each boundary; ends where a rollout has none of that number any more."""
    for number in range(1, BOUNDARIES_MOST):
        before = killer.kills
        result = _roll(stage, strategy, _AtBoundary(killer, number))
        yield result
        if result.wrong:
            say(f"{_name(strategy)}, boundary {number}: {result.wrong}")
        if killer.kills == before:
            say(f"{_name(strategy)}: a deployer died at each of {number - 1} boundaries, one in each rollout")
            return


def _kill_along(stage: Rehearsal, killer: _Killer, strategy: Strategy, say: Say) -> Rolled:
    """One rollout that goes on over a deployer's death at every boundary."""
    before = killer.kills
    result = _roll(stage, strategy, _AtEachOnce(killer))
    deaths = killer.kills - before
    ended = result.wrong or "ended right"
    say(f"{_name(strategy)}: {deaths} deployers died in one rollout, one at each boundary; {ended}")
    return result


def _kill_at_random(stage: Rehearsal, killer: _Killer, spec: KillSweepSpec, say: Say) -> Iterable[Rolled]:
    """Rollout after rollout while whoever leads is killed at random moments, until enough were."""
    random, until = Random(spec.seed), killer.kills + spec.random_kills
    rolls = 0
    while killer.kills < until and rolls < ROLLS_MOST:
        rolls += 1
        strategy = random.choice((Rolling(batch=2), *ALONE, *ALONG))
        result = _roll(stage, strategy, _AtRandom(killer, random, until))
        if result.wrong:
            say(f"random kills, rollout {rolls}: {result.wrong}")
        yield result
    say(f"random: {spec.random_kills} kills in {rolls} rollouts")


def run_kill_sweep(backend: Backend, spec: KillSweepSpec, say: Say) -> int:
    """The sweep as a command: exit 0 if every rollout ended right and no user was hurt.

    What could not be removed is printed after the results; then a good sweep ends in 4.
    """
    swept = sweep_kills(backend, spec, say)
    for one in swept.wrong:
        say(f"  wrong: {one}")
    say(swept.line)
    for one in swept.left:
        say(one)
    if not swept.is_good:
        return ExitCode.BROKEN
    return ExitCode.COULD_NOT_TELL if swept.left else ExitCode.HELD
