"""Names of clusters, and the identities that are put on everything made for one."""

from __future__ import annotations

import hashlib
import re

from lab.clock import SYSTEM_CLOCK, Clock
from lab.machine.labels import KEPT, Identity, this_process
from lab.machine.places import Places, check_project

RUN_LIVES = 3600
KEPT_LIVES = 24 * 3600
"""Seconds after which anybody's `lab clean` may remove a cluster of whose owner it knows nothing."""


def run_identity(run: str, clock: Clock = SYSTEM_CLOCK) -> Identity:
    """The identity of a cluster that lives as long as this process."""
    return _identity(f"lab-{run}", run, this_process(), RUN_LIVES, clock)


def kept_identity(project: str, clock: Clock = SYSTEM_CLOCK) -> Identity:
    """The identity of a cluster that outlives this process, until `lab down` or a day has passed."""
    return _identity(project, "kept", KEPT, KEPT_LIVES, clock)


def project_of(places: Places, given: str | None) -> str:
    """The project that a command line names, or this checkout's own. Raises UsageError for what is not a name."""
    if given is None:
        return default_project(places)
    check_project(given)
    return given


def default_project(places: Places) -> str:
    """This checkout's own project, different from that of a folder of the same name elsewhere."""
    stem = re.sub(r"[^a-z0-9]+", "-", places.root.name.lower()).strip("-") or "lab"
    return f"lab-{stem[:24]}-{hashlib.sha256(str(places.root).encode()).hexdigest()[:6]}"


def _identity(project: str, run: str, owner: str, lives: int, clock: Clock) -> Identity:
    return Identity(project=project, run=run, owner=owner, expires=int(clock.wall().timestamp()) + lives)
