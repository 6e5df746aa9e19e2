"""The real balancers: asks an nginx's inner door which replica answers in a slot."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import requests
from requests import Response
from requests.adapters import HTTPAdapter

from lab.balancer.protocol import ReplicaAnswer

ANSWER_WITHIN = 1.0
"""Seconds that one question may take; a replica that is slower than that isn't called ready."""
QUESTIONS_AT_ONCE = 64
"""More than a deployer ever asks in one look, so that however many are silent, a look takes no longer than one is: the
deployer's lease runs meanwhile."""
_FIGURES = re.compile(r"requests\n\s*\d+ \d+ (?P<requests>\d+).*Writing: (?P<writing>\d+)", re.DOTALL)
"""What stub_status says."""


def speaks_http(door: tuple[str, int]) -> bool:
    """Whether anything answers there, whatever it says."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            session.get(f"http://{door[0]}:{door[1]}/", timeout=ANSWER_WITHIN, allow_redirects=False)
    except requests.RequestException:
        return False
    return True


class NginxBalancer:
    """Talks to the lab's own door of a balancer, published on loopback. May be used from several threads.

    Where there are several, all see the same slots: one is asked, and where that one is down or silent, the next.
    """

    def __init__(self, *doors: tuple[str, int]) -> None:
        self._doors = tuple(f"http://{host}:{port}/_lab" for host, port in doors)
        self._asks = 0
        """The door that answered last."""
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment has no business on loopback
        self._session.mount("http://", HTTPAdapter(pool_maxsize=QUESTIONS_AT_ONCE))
        self._asked = 0
        self._pool = ThreadPoolExecutor(QUESTIONS_AT_ONCE, thread_name_prefix="balancer")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        self._session.close()

    def is_alive(self) -> bool:
        """Whether each nginx itself answers."""
        return all(self._lives(door) for door in self._doors)

    def requests(self) -> tuple[int, int] | None:
        """Requests of users that were answered so far, and those in flight; None where nginx does not answer.

        nginx counts all requests. This object's own are taken off; those of other processes of the lab, some a second
        for each replica, are not. Where there are several, all are asked: one that is down has taken its count along.
        """
        requests_so_far, in_flight = 0, 0
        for door in self._doors:
            try:
                self._asked += 1
                figures = _FIGURES.search(self._session.get(f"{door}/figures", timeout=ANSWER_WITHIN).text)
            except requests.RequestException:
                return None
            if figures is None:
                return None
            requests_so_far += int(figures["requests"])
            in_flight += max(0, int(figures["writing"]) - 1)
        return requests_so_far - self._asked, in_flight

    def holders(self, slots: Collection[str]) -> Mapping[str, ReplicaAnswer]:
        return self._ask_all("slot", slots)

    def replicas(self, names: Collection[str]) -> Mapping[str, ReplicaAnswer]:
        return self._ask_all("replica", names)

    def _ask_all(self, door: str, names: Collection[str]) -> dict[str, ReplicaAnswer]:
        # One that is silent must not keep the others waiting: a frozen replica takes its whole time.
        answers = self._pool.map(lambda name: self._ask(f"{door}/{name}/readyz"), names)
        return {name: answer for name, answer in zip(names, answers, strict=True) if answer is not None}

    def _ask(self, path: str) -> ReplicaAnswer | None:
        said = self._get(path)
        if said is None:
            return None
        name = said.headers.get("X-Replica")
        if not name:
            return None
        return ReplicaAnswer(
            replica=name,
            is_ready=200 <= said.status_code < 300,
            saw=said.headers.get("X-Lab-Saw", ""),
            is_silent="X-Lab-Silent" in said.headers,
            idle=float(said.headers["X-Lab-Idle"]) if "X-Lab-Idle" in said.headers else None,
        )

    def _get(self, path: str) -> Response | None:
        """What the first door says that is up. None where a replica is silent, or all doors are."""
        first = self._asks
        for turn in range(len(self._doors)):
            number = (first + turn) % len(self._doors)
            door = self._doors[number]
            self._asked += 1
            try:
                said = self._session.get(f"{door}/{path}", timeout=ANSWER_WITHIN, allow_redirects=False)
            except requests.ReadTimeout:
                if len(self._doors) == 1 or self._lives(door):
                    return None  # it is the replica that is silent
            except requests.RequestException:
                pass
            else:
                self._asks = number
                return said
        return None

    def _lives(self, door: str) -> bool:
        self._asked += 1
        try:
            return self._session.get(f"{door}/alive", timeout=ANSWER_WITHIN).ok
        except requests.RequestException:
            return False
