"""Whether rollouts ended in time, and whether any slot was moved to the new release more than once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.clock import NS
from lab.model import Finding
from lab.oracle.promises import ROLLOUTS_END, Anomaly
from lab.record import AnyEvent, ContainerEvent, RolloutMoved, Step, Strike

UPGRADE = "upgrade"
_ONCE = {"create", "enter"}
"""What is done with one new replica in each slot. (Whoever is told to leave twice leaves once.)"""


def judge_rollouts(events: Sequence[AnyEvent], within: float, *, until: int) -> tuple[int, list[Finding]]:
    """How many moves of slots were looked at, and what is wrong with the rollouts. `events` are in order of time.

    A rollout begins with the first step of an upgrade and has ended when its deployer says so. One that the run was
    too short to judge, up to `until`, is not counted. A slot in which a replica was struck or died may be moved again.
    """
    checks, found = 0, list[Finding]()
    for steps, ended in _rollouts(events):
        began = steps[0].at
        end = until if ended is None else ended
        if ended is not None or (end - began) / NS > within:
            checks += len({(step.slot, step.replica) for step in steps if step.action == "enter"})
            found += _late(steps, within, ended=ended)
        found += _doubled(steps, [event for event in events if began <= event.at <= end])
    return checks, found


def _rollouts(events: Sequence[AnyEvent]) -> Iterator[tuple[list[Step], int | None]]:
    """Each rollout's steps, and when it ended, if it did."""
    steps: list[Step] = []
    for event in events:
        if isinstance(event, Step) and event.why == UPGRADE:
            steps.append(event)
        elif isinstance(event, RolloutMoved) and event.ending and steps:
            yield steps, event.at
            steps = []
    if steps:
        yield steps, None


def _late(steps: Sequence[Step], within: float, *, ended: int | None) -> Iterator[Finding]:
    took = None if ended is None else (ended - steps[0].at) / NS
    if took is not None and took <= within:
        return
    last = steps[-1]
    moved = len({step.slot for step in steps if step.action == "enter"})
    how = (
        f"took {took:.1f} s"
        if took is not None
        else f"never ended: {moved} slots were moved, and the last thing done was {last.action} {last.replica}".rstrip()
    )
    why = f"the rollout {how}; {within:g} s are allowed"
    yield _finding(Anomaly.ROLLOUT_STUCK, steps[0].at + int(within * NS), why)


def _doubled(steps: Sequence[Step], events: Sequence[AnyEvent]) -> Iterator[Finding]:
    excused = {event.slot for event in events if isinstance(event, Strike)}
    new = {step.replica for step in steps if step.action in _ONCE}
    excused |= {
        event.slot
        for event in events
        if isinstance(event, ContainerEvent) and event.action == "die" and event.exit_code and event.name in new
    }
    done: dict[str, list[str]] = {}
    for step in steps:
        if step.action not in _ONCE or step.slot in excused:
            continue
        before = done.setdefault(step.slot, [])  # a replica may be told to take its slot until it has
        if step.replica not in before:
            before.append(step.replica)
            if len(before) == 2:  # a third one is the same mistake
                yield _finding(
                    Anomaly.MOVED_TWICE,
                    step.at,
                    f"{step.slot} had been given {before[0]}, and {step.replica} ({step.release}) was made there too",
                )


def _finding(anomaly: Anomaly, at: int, why: str) -> Finding:
    return Finding(promise=ROLLOUTS_END, anomaly=str(anomaly), user="", at=at, why=why)
