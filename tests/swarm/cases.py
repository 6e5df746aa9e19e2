"""What is tried on the swarm, and how each must end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.errors import ExitCode
from lab.model import Value

SEED = 7
ENOUGH = {"operations": 1000, "checks": 1000}
PATIENT = 60
"""Tries of users who wait until a store is back."""


class Case(Value):
    """One run: its steps, its exit code, and which promise is broken where one must be."""

    name: str
    steps: tuple[dict[str, Any], ...]
    ends: ExitCode
    release: str = "shop:v1"
    edges: str = "zones"
    tries: int = 3
    """Of each action, as long as the store may be away in between."""
    breaks: str = ""
    promises: Mapping[str, Any] = {}
    enough: Mapping[str, Any] = {}
    blast_radius: Mapping[str, Any] = {}
    users: int = 60
    two_devices: int = 20
    think: float = 0.3
    workers: int = 0
    """Among so many the users are divided, within the swarm."""
    kills_worker: bool = False
    """Whether one of them is killed in the first step."""
    within: float = 400.0
    on_engine: bool = False
    """Whether the lab's own deployer does the same on one engine beside it."""

    @property
    def scenario(self) -> dict[str, Any]:
        """As a file has it."""
        return {
            "lab": 1,
            "name": self.name,
            "title": self.name,
            "cluster": {"release": self.release, "zones": {"a": 2, "b": 2, "c": 2}, "edges": self.edges},
            "users": {
                "count": self.users,
                "on_two_devices": self.two_devices,
                "think": self.think,
                "tries": self.tries,
                "answer_timeout": 10,
            },
            "promises": {"serving_at_least": 0, **self.promises},
            "steps": list(self.steps),
            "enough": {**ENOUGH, **self.enough},
            "blast_radius": dict(self.blast_radius),
            "time_limit": 240,
        }


SETTLE: dict[str, Any] = {"settle": {"for": 4}}
AFTER: dict[str, Any] = {"settle": {"for": 3}}
LONG_AFTER: dict[str, Any] = {"settle": {"for": 60}}
"""Whoever met a store that was away waits longer before each further try."""
ROLL: dict[str, Any] = {"roll": {"to": "shop:v2", "batch": 1}}
NODE = {"zones": 1, "tiers": 2, "least_serving": 1, "replicas": 4}

CASES = (
    Case(
        name="rolling update",
        steps=(SETTLE, ROLL, AFTER),
        ends=ExitCode.HELD,
        enough={"users_served_by_new": 60},
        on_engine=True,
    ),
    Case(
        name="node drained",
        steps=(SETTLE, {"strike": {"do": "drain", "to": "node/b", "for": 10}}, AFTER),
        ends=ExitCode.HELD,
        enough={"strikes_that_hit": 1},
    ),
    Case(
        name="node killed",
        steps=(SETTLE, {"lose_zone": {"zone": "c", "for": 25}}, AFTER),
        ends=ExitCode.HELD,
        enough={"strikes_that_hit": 1},
        blast_radius=NODE,
        on_engine=True,
    ),
    Case(
        name="store's node killed",
        steps=(SETTLE, {"lose_zone": {"zone": "a", "for": 8}}, LONG_AFTER),
        ends=ExitCode.HELD,
        promises={"loses_at_most": 0},
        tries=PATIENT,
        enough={"strikes_that_hit": 1},
        blast_radius=NODE,
    ),
    Case(
        name="bad release",
        steps=(SETTLE, {"roll": {"to": "shop:v2-never-ready", "batch": 1, "ready_within": 6}}, AFTER),
        ends=ExitCode.ROLLED_BACK,
    ),
    Case(
        name="memory sessions",
        steps=(SETTLE, {"roll": {"to": "shop:v2-memory", "batch": 1}}, AFTER),
        ends=ExitCode.BROKEN,
        release="shop:v1-memory",
        breaks="logged_in",
    ),
    Case(
        name="leading manager killed",
        steps=(SETTLE, {"strike": {"do": "kill", "to": "node/leader", "for": 10}}, ROLL, LONG_AFTER),
        tries=PATIENT,  # it may be the store's node, too
        ends=ExitCode.HELD,
        enough={"strikes_that_hit": 1, "users_served_by_new": 60},
        blast_radius=NODE,
    ),
    Case(
        name="rolling update, workers",
        steps=(SETTLE, ROLL, AFTER),
        ends=ExitCode.HELD,
        enough={"users_served_by_new": 60},
        workers=3,
    ),
    Case(
        name="memory sessions, workers",
        steps=(SETTLE, {"roll": {"to": "shop:v2-memory", "batch": 1}}, AFTER),
        ends=ExitCode.BROKEN,
        release="shop:v1-memory",
        breaks="logged_in",
        workers=3,
    ),
    Case(
        name="worker killed",
        steps=({"settle": {"for": 60}}, AFTER),
        ends=ExitCode.COULD_NOT_TELL,
        workers=3,
        kills_worker=True,
    ),
    Case(
        name="ten thousand users",
        steps=({"settle": {"for": 60}}, AFTER),
        ends=ExitCode.HELD,
        enough={"operations": 40_000, "checks": 20_000},
        users=10_000,
        two_devices=1000,
        think=60.0,
        workers=3,
        within=1800.0,
    ),
)
