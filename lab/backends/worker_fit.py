"""Whose users can be divided among workers: refused before anything is started, with what can be done."""

from __future__ import annotations

from lab.errors import UsageError
from lab.scenario.spec import Scenario


def check_has_no_workers(where: str) -> None:
    """Raise UsageError: nothing here starts a worker."""
    raise UsageError(f"workers of a crowd are not started {where}", at="--workers", hint="lab run --on swarm")


def check_shared_users(scenario: Scenario, count: int) -> None:
    """Raise UsageError for users whom no worker has."""
    if scenario.users.are_of_own_app:
        raise UsageError(
            "workers have the lab's own shop's users alone: a journey of your own is not there",
            at="users.journey" if scenario.users.journey is not None else "users.http",
            hint="leave --workers out",
        )
    if count > scenario.users.count:
        raise UsageError(f"{scenario.users.count} users are fewer than {count} workers", at="--workers", hint="--users")
