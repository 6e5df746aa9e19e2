"""The real balancer: asks nginx's inner door which replica answers in a slot."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

import requests

ANSWER_WITHIN = 2.0
"""Seconds that one question may take; a replica that is slower than that isn't called ready."""


class NginxBalancer:
    """Talks to the lab's own door of the balancer, published on loopback. Not for use from several threads."""

    def __init__(self, host: str, port: int) -> None:
        self._base = f"http://{host}:{port}/_lab"
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment has no business on loopback

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def is_alive(self) -> bool:
        """Whether nginx itself answers."""
        try:
            return self._session.get(f"{self._base}/alive", timeout=ANSWER_WITHIN).ok
        except requests.RequestException:
            return False

    def answering(self, slots: Iterable[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for slot in slots:
            try:
                said = self._session.get(f"{self._base}/slot/{slot}/readyz", timeout=ANSWER_WITHIN)
                name = said.headers.get("X-Replica")
                said.close()
            except requests.RequestException:
                continue
            if said.status_code == 200 and name:
                found[slot] = name
        return found
