"""A rollout as somebody's own script would do it: which slots are next is the script's to say, not the lab's.

For whoever learns what a deployer must keep, and where. The lab's own way needs none of it: see `lab.deploy.plan`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lab.deploy.deployer import Deployer
from lab.deploy.plan import ClusterLook, Decision, decide
from lab.deploy.rollout import Desired, Phase, Rollout, ordered
from lab.deploy.target import SlotTarget, target_of
from lab.errors import UsageError, blame, is_from_outside
from lab.model import Replica, Value

LEAST_LOCK_SECONDS = 2.0
"""A lock that ends sooner is lost by whoever is only busy."""


class Script(Value):
    """What a script's file says."""

    file: str
    lock_seconds: float
    """How long the lock holds if whoever has it renews it no more."""
    todo: Callable[[Sequence[str], Mapping[str, str], str], Sequence[str]]
    """The slots that are still to be moved, in order, by all slots, the release that each serves, and the new one."""
    moved: Callable[[str], object]
    """Told of each slot that was moved, once its old replica is gone."""


def load_script(file: str) -> Script:
    """Raises UsageError where the file can't be loaded or lacks what a script must have."""
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None:
        raise UsageError("is not a Python file", at=file)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException as exc:
        if is_from_outside(exc):
            raise
        what, at = blame(exc, file)
        raise UsageError(f"can't be loaded: {what}", at=at, hint=f"python3 {file}") from exc
    seconds: Any = getattr(module, "LOCK_SECONDS", None)
    if not isinstance(seconds, (int, float)) or not seconds >= LEAST_LOCK_SECONDS:
        raise UsageError(f"LOCK_SECONDS must be a number of at least {LEAST_LOCK_SECONDS:g}", at=file)
    lacking = [name for name in ("todo", "moved") if not callable(getattr(module, name, None))]
    if lacking:
        raise UsageError(f"there is no function {lacking[0]}", at=file, hint="lab lesson reset")
    return Script(file=file, lock_seconds=float(seconds), todo=module.todo, moved=module.moved)


class ScriptedDeployer(Deployer):
    """Replaces what dies as any deployer does, and upgrades as a script says: one slot after another, each from its
    first step if the script names it, whoever may have done so before."""

    def __init__(self, script: Script, *told: Any, **named: Any) -> None:
        super().__init__(*told, **named, lease_seconds=script.lock_seconds)
        self._script = script

    def _decide(self, seen: ClusterLook, desired: Desired) -> Decision:
        rollout = desired.under_way
        if rollout is None or not rollout.strategy.is_slot_by_slot or rollout.phase is Phase.BACK:
            return super()._decide(seen, desired)
        slots = [slot.name for slot in ordered(self._slots_of(desired), rollout.strategy.order)]
        by_name = {one.name: one for one in seen.replicas}
        holders = {slot: by_name[name] for slot, name in seen.holders.items() if name in by_name}
        serving = {slot: one.release for slot, one in holders.items()}
        todo = self._ask(slots, serving, rollout.to.name)
        now = todo[0] if todo else ""
        target = target_of(desired, self._slots_of(desired))
        others = {slot: SlotTarget(serve=serving.get(slot, rollout.before.name)) for slot in slots if slot != now}
        decision = decide(
            self._as_if_never_done(seen, holders.get(now), rollout),
            msgspec.structs.replace(target, slots={**target.slots, **others}),
        )
        if now in decision.settled:
            self._call("moved", self._script.moved, now)
        is_whole = not todo and all(serving.get(slot) == rollout.to.name for slot in slots)
        true = {one.container: one for one in seen.replicas}
        steps = tuple(
            step if step.replica is None else msgspec.structs.replace(step, replica=true[step.replica.container])
            for step in decision.steps
        )
        return msgspec.structs.replace(decision, steps=steps, is_settled=decision.is_settled and is_whole)

    def _ask(self, slots: Sequence[str], serving: Mapping[str, str], to: str) -> list[str]:
        said = self._call("todo", self._script.todo, tuple(slots), dict(serving), to)
        if not isinstance(said, (list, tuple)) or not set(said) <= set(slots):
            raise UsageError(f"todo() must give some of {list(slots)}, not {said!r}", at=self._script.file)
        return list(said)

    def _call(self, name: str, function: Callable[..., Any], *told: Any) -> Any:
        try:
            return function(*told)
        except BaseException as exc:
            if is_from_outside(exc):
                raise
            what, at = blame(exc, self._script.file)
            raise UsageError(f"{name}() failed: {what}", at=at) from exc

    def _as_if_never_done(self, seen: ClusterLook, holder: Replica | None, rollout: Rollout) -> ClusterLook:
        """A slot that the script wants moved is moved, also where another process had done it: it is taken for old."""
        if holder is None or holder.release != rollout.to.name or self._is_of_this_process(holder):
            return seen
        old = msgspec.structs.replace(holder, release=rollout.before.name)
        replicas = tuple(old if one.container == holder.container else one for one in seen.replicas)
        return msgspec.structs.replace(seen, replicas=replicas)
