"""`python -m tests.bench.drive PORT USERS THINK SECONDS [oracle]`: the lab's crowd alone in a process; prints JSON."""

from __future__ import annotations

import gc
import json
import resource
import sys
import threading
from pathlib import Path
from random import Random

from lab.clock import SYSTEM_CLOCK
from lab.collection import rare_collection
from lab.model import Operation
from lab.oracle import Oracle
from lab.users import Crowd, CrowdSize, Door, Tries

PAGE = resource.getpagesize()


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def cpu() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def drive(port: int, users: int, think: float, seconds: float, *, judged: bool) -> dict[str, float]:
    """Let a crowd shop for a while and say what it cost."""
    oracle, checked, failed = Oracle(), 0, 0

    def take(operation: Operation) -> None:
        nonlocal checked, failed
        checked += 1
        failed += not operation.answered_as and operation.kind != "browse" and not operation.session_rejected
        if judged:
            oracle.feed(operation)

    size = CrowdSize(users=users, two_devices=0.0, think=think, logins_at_once=64)
    gc.collect()
    before = resident()
    crowd = Crowd([Door(port=port)], size, chance=Random(7), on_operation=take, policy=Tries(timeout=20))
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
        "began": SYSTEM_CLOCK.now(),
    }


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    port, users, think, seconds, *rest = sys.argv[1:]
    print(json.dumps(drive(int(port), int(users), float(think), float(seconds), judged="oracle" in rest)))
