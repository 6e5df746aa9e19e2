"""Which State keeps what must outlast a process: the Redis that LAB_STATE names, or this checkout's file."""

from __future__ import annotations

import os

from lab.machine.places import Places
from lab.state.file import FileState
from lab.state.protocol import State
from lab.state.redis import RedisState


def open_state(places: Places) -> State:
    """The lab's durable state: the Redis that LAB_STATE names, or else this checkout's file."""
    url = os.environ.get("LAB_STATE", "")
    return RedisState(url) if url else FileState(places.state)
