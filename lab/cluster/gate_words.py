"""What a gate says when its app is to be told to stop, heard within a millisecond: by then requests are in the app."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue

from docker import APIClient
from docker.types import CancellableStream

from lab.cluster.tear_down import GONE_MEANWHILE
from lab.machine.engine import GONE, APIError


class GateWords:
    """Of several gates, each under a key of its own."""

    def __init__(self, engine: APIClient) -> None:
        self._engine = engine
        self._said: SimpleQueue[str] = SimpleQueue()

    def listen(self, gate: str, key: str) -> None:
        """From here on nothing that it says is missed; one that has ended counts as having said it. Raises APIError.

        An engine that can't be listened to, such as one behind a program of ssh, says nothing.
        """
        try:
            with suppress(AttributeError):
                stream = self._engine.attach(gate, stdout=True, stderr=False, stream=True)
                threading.Thread(target=self._hear, args=(stream, key), name=f"gate {key[:12]}", daemon=True).start()
        except APIError as exc:
            if exc.status_code not in GONE_MEANWHILE:
                raise
            self._said.put(key)

    def _hear(self, stream: CancellableStream[bytes], key: str) -> None:
        with suppress(*GONE, AttributeError):
            next(stream, b"")  # its end, too: it has ended
            self._said.put(key)
            stream.close()

    def next(self, within: float) -> str | None:
        """The key of the next one that says it; None where none does so within so many seconds."""
        try:
            return self._said.get(timeout=max(0.0, within))
        except Empty:
            return None
