"""Whether the machine, and not the app, was late: a check that judges time then says "could not tell", never "broken".

Nothing is tried again. A test that passes on a busy machine has passed; one that fails there has shown nothing, and
is reported as skipped, with the load. What fails whatever the load is (a traceback, an internal error) stays failed.
"""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from lab.errors import LabError
from lab.oracle.verdict import STATE_PROMISES

JUDGES_TIME = "judges_time"
PER_CORE = 3.0
"""The load average per core above which what is late may be the machine. Three runs beside each other make half."""
MAY_BE_LATE = (AssertionError, LabError, TimeoutError, subprocess.TimeoutExpired, pytest.fail.Exception)
"""What a check raises where something came too late."""
NEVER_THE_MACHINE = ("Traceback (most recent call last)", "internal error")
VERDICTS = ("BROKEN", "COULD NOT TELL", "✕")
SAME_ANYWHERE = re.compile(r"\bassert (?:not )?(?:'.*' (?:not )?in\b|\d+ == \d+$)", re.MULTILINE)
"""What a failed check says where a text lacks a word, or a count is another: that is so on any machine."""
OF_STATE = re.compile(rf"\b(?:BROKEN|broke)\b.*\b(?:{'|'.join(STATE_PROMISES)})\b")
"""What no machine breaks by being late."""


def too_busy(load: float, cores: int) -> str:
    """Why nothing that took too long can be laid at the app; empty where the machine was free enough."""
    if load <= PER_CORE * cores:
        return ""
    return f"could not tell: the machine was late (load average {load:.1f} on {cores} cores)"


def could_not_tell(
    report: pytest.TestReport, *, judges_time: bool, load: float, cores: int, error: BaseException | None = None
) -> str:
    """Why this report is no failure of what is tested; empty where it says what it says.

    `error` is what was raised: a missing file or a mistake in a test is nothing that any load explains.
    """
    if error is not None and not isinstance(error, MAY_BE_LATE):
        return ""
    if isinstance(error, AssertionError) and not is_about_time(str(error)):
        return ""
    if not (report.failed and report.when in {"setup", "call"} and judges_time):
        return ""
    if any(one in str(report.longrepr) for one in NEVER_THE_MACHINE):
        return ""
    return too_busy(load, cores)


def is_about_time(failure: str) -> bool:
    """Whether a late machine can make a check fail so: by a run's verdict, if not on state, an order, a wait, a moment.

    A text that lacks a word and a count that is another are the same on any machine.
    """
    line = in_short(failure)
    if line.startswith(VERDICTS):
        return OF_STATE.search(line) is None
    return SAME_ANYWHERE.search(failure) is None


def load_now() -> tuple[float, int]:
    """The load average of the last minute, and the cores that share it."""
    return os.getloadavg()[0], os.cpu_count() or 1


def in_short(failure: str) -> str:
    """The one line of a failure that says the most: a run's verdict, if there is one, or else the first."""
    lines = [line.strip() for line in failure.splitlines()]
    return next((line for line in lines if line.startswith((*VERDICTS, "lab:"))), "".join(lines[:1]))
