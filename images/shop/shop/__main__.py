"""Starts one replica of the shop: `python -m shop`, configured by the environment alone."""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType


def leave(_signal: int, _frame: FrameType | None) -> None:
    """End at once: until the replica serves, nobody can be waiting for an answer."""
    sys.exit(0)


if __name__ == "__main__":
    started = time.monotonic()
    # Set before the slow imports, so that a replica stopped while it starts still ends with 0.
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    from shop.serve import run

    run(started=started)
