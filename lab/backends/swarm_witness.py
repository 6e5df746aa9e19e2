"""What a swarm says of somebody else's service, read and never touched: which tasks start, serve, leave and end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lab import record
from lab.clock import Clock
from lab.errors import EngineError, UsageError
from lab.machine.engine import APIClient, APIError, NotFound, connect, engine_errors
from lab.model import release_name

SOURCE = "the swarm"
LOOK_EVERY = 0.5
"""Seconds between two looks: a swarm has events of services, and none of single tasks."""
_LEAVES = frozenset({"shutdown", "remove"})
_ENDED = frozenset({"complete", "failed", "shutdown", "rejected", "orphaned", "remove"})
_STARTS = frozenset({"assigned", "accepted", "preparing", "ready", "starting"})
Seen = Mapping[str, record.Observed]
"""What each task was seen as last, by its id."""


def check_swarm(service: str) -> None:
    """Raise UsageError where there is no such service, or the engine manages no swarm; SetupError without an engine."""
    engine = connect()
    hint = "docker service ls   # on a manager"
    try:
        engine.inspect_service(service)
    except NotFound as exc:
        raise UsageError("there is no such service", at=f"swarm:{service}", hint=hint) from exc
    except APIError as exc:
        raise UsageError(f"can't be read: {exc.explanation or exc}", at=f"swarm:{service}", hint=hint) from exc
    finally:
        engine.close()


@contextmanager
def swarm_witness(service: str, report: Callable[[record.AnyEvent], None], clock: Clock) -> Iterator[None]:
    """Report, while the block runs, what becomes of each task. A swarm that does not answer for a while is Trouble."""
    engine, ending = connect(), threading.Event()

    def look() -> None:
        seen: Seen = {}
        while True:
            try:
                seen, fresh = changes(seen, _tasks(engine, service), service, clock.now())
            except EngineError as exc:
                report(record.Trouble(at=clock.now(), what=f"the swarm can't be seen any more: {exc}"))
                return
            for event in fresh:
                report(event)
            if ending.wait(LOOK_EVERY):
                return

    thread = threading.Thread(target=look, name="swarm witness", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
        engine.close()


def changes(
    before: Seen, tasks: Iterable[Mapping[str, Any]], service: str, at: int
) -> tuple[Seen, list[record.Observed]]:
    """What each task is seen as now, and those that are seen as something else than before.

    One that had ended when it was first seen is of no interest.
    """
    now, fresh = dict[str, record.Observed](), list[record.Observed]()
    for task in tasks:
        name, what = str(task["ID"]), _what(task)
        was = before.get(name)
        if not what or (was is None and what == "ended"):
            continue
        if was is not None and was.what == what:
            now[name] = was
            continue
        image = str(task["Spec"]["ContainerSpec"]["Image"]).partition("@")[0]
        who = ".".join(filter(None, (service, str(task.get("Slot") or task.get("NodeID", ""))[:12], name[:12])))
        now[name] = record.Observed(at=at, who=who, what=what, release=release_name(image), source=SOURCE)
        fresh.append(now[name])
    for name, was in before.items():  # a swarm forgets tasks that have ended long ago
        if name not in now and was.what != "ended":
            fresh.append(record.Observed(at=at, who=was.who, what="ended", release=was.release, source=SOURCE))
    return now, fresh


def _what(task: Mapping[str, Any]) -> str:
    state, wanted = str(task["Status"]["State"]), str(task.get("DesiredState", "running"))
    if state in _ENDED:
        return "ended"
    if state == "running":  # of one with a health check a swarm says so only once it is healthy
        return "leaving" if wanted in _LEAVES else "ready"
    return "started" if state in _STARTS and wanted not in _LEAVES else ""


def _tasks(engine: APIClient, service: str) -> list[Mapping[str, Any]]:
    with engine_errors("list a service's tasks", at=service):
        return list(engine.tasks(filters={"service": service}))
