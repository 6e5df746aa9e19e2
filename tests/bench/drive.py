"""`python -m tests.bench.drive PORT USERS THINK SECONDS [oracle] [own]`: the lab's crowd alone; prints JSON.

With `own` its users are those of somebody's own app, in a journey of plain Python.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

from lab.clock import SYSTEM_CLOCK
from lab.collection import rare_collection
from lab.model import Kind, Operation, Outcome
from lab.oracle import Oracle
from lab.users import Crowd, CrowdSize, Device, Door, Journey, Shopper, Tries
from lab.users.loading import OwnUsers
from tests.bench.own_journey import Visitor

PAGE = resource.getpagesize()


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def cpu() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def drive(
    port: int, users: int, think: float, seconds: float, *, judged: bool, are_own: bool = False
) -> dict[str, float]:
    """Let a crowd shop for a while and say what it cost."""
    oracle, checked, failed = Oracle(), 0, 0

    def take(operation: Operation) -> None:
        nonlocal checked, failed
        checked += not operation.is_conclusion
        if are_own:
            failed += operation.outcome is not Outcome.OK
        else:
            is_well = operation.outcome is Outcome.OK or operation.kind is Kind.INTRUDE  # which must be refused
            failed += not is_well and not operation.session_rejected
        if judged:
            oracle.feed(operation)

    size = CrowdSize(users=users, two_devices=0.0, think=think, logins_at_once=64)
    gc.collect()
    before = resident()
    journey: Callable[[Device], Journey] = OwnUsers(Visitor, f"http://127.0.0.1:{port}") if are_own else Shopper
    crowd = Crowd(
        [Door(port=port)], size, chance=Random(7), on_operation=take, journey=journey, policy=Tries(timeout=20)
    )
    with rare_collection(), crowd:  # as `lab run` does
        crowd.log_in(180)
        gc.collect()
        per_user = (resident() - before) / users
        crowd.shop()
        since, cpu_before = checked, cpu()
        threading.Event().wait(seconds)
        done, used = checked - since, cpu() - cpu_before
        lag = crowd.counts().worst_lag
        crowd.settle(60)
    return {
        "checked": done,
        "cpu": used,
        "failed": failed,
        "bytes_per_user": per_user,
        "worst_lag": lag,
        "findings": len(oracle.findings),
        "resident": resident(),
        "began": SYSTEM_CLOCK.now(),
    }


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    port, users, think, seconds, *rest = sys.argv[1:]
    print(
        json.dumps(
            drive(int(port), int(users), float(think), float(seconds), judged="oracle" in rest, are_own="own" in rest)
        )
    )
