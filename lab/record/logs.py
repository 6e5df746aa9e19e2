"""What replicas wrote, kept beside a run's record when they die or go: one file each, the end of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lab.errors import LabError
from lab.record.folder import write_whole

FOLDER = "logs"
LAST_LINES = 200
MOST_BYTES = 64 << 10
MOST_FILES = 400
"""A month of killing must not fill the disk: later ones are not kept."""
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,80}")


def keep_log(record: Path, replica: str, read: Callable[[], str]) -> None:
    """Keep the end of what a replica wrote, in place of what was kept of it before. `read` gives it.

    Never raises: a log that can't be had makes no run worse.
    """
    folder = record / FOLDER
    if not _NAME.fullmatch(replica):
        return
    with suppress(LabError, OSError):
        text = read().encode()[-MOST_BYTES:]
        if not text.strip():
            return
        folder.mkdir(exist_ok=True)
        path = folder / f"{replica}.log"
        if path.exists() or sum(1 for _ in folder.iterdir()) < MOST_FILES:
            write_whole(path, text)


def kept_log(record: Path, replica: str, *, last: int) -> tuple[str, ...]:
    """The last lines that were kept of a replica; none where there are none."""
    if not _NAME.fullmatch(replica):
        return ()
    try:
        text = (record / FOLDER / f"{replica}.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(text.splitlines()[-last:])
