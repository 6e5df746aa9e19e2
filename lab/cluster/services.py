"""Waits for the services beside somebody's own app: those that stay are well, those that prepare things have ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from docker import APIClient

from lab.clock import SYSTEM_CLOCK, Clock
from lab.cluster.commands import ClusterPlan
from lab.errors import ClusterError
from lab.machine import labels
from lab.machine.engine import NotFound, engine_errors
from lab.retry import wait_until

SERVICE = "com.docker.compose.service"
WELL_WITHIN = 300.0
"""Seconds for all of them together: a first start of a database, a migration."""
LOG_LINES = 8


def wait_for_services(engine: APIClient, plan: ClusterPlan, *, clock: Clock = SYSTEM_CLOCK) -> None:
    """Return once every service beside the app is as it is to be before a user comes.

    One with a health check is healthy, another one runs or has ended with 0, and those of `plan.jobs` have ended
    with 0. Raises ClusterError, with its last log lines, as soon as one has ended otherwise, and WaitTimeout.
    """
    missing: list[str] = []

    def look() -> bool:
        missing[:] = [why for name in plan.others if (why := _why_not(engine, plan, name))]
        return not missing

    wait_until(
        f"the services beside {plan.app} are well",
        look,
        within=WELL_WITHIN,
        every=0.2,
        next_step=f"docker ps -a --filter label={labels.PROJECT}={plan.identity.project}",
        seen=lambda: "; ".join(missing),
        clock=clock,
    )


def _why_not(engine: APIClient, plan: ClusterPlan, service: str) -> str:
    """Why a service is not as it is to be yet, "" if it is. Raises ClusterError where it never will."""
    only = [f"{labels.PROJECT}={plan.identity.project}", f"{SERVICE}={service}"]
    with engine_errors(f"look at the service {service}", at=plan.identity.project):
        found = engine.containers(all=True, filters={"label": only})
        try:
            inspected = [engine.inspect_container(one["Id"]) for one in found]
        except NotFound:
            return f"{service} is being made anew"
    if not inspected:
        return f"{service} is not there yet"
    for one in inspected:
        why = state_of(one, is_job=service in plan.jobs)
        if why.startswith("ended"):
            raise ClusterError(
                f"service {service!r} {why}; its last lines:{_last_lines(engine, one['Id'])}",
                at=plan.identity.project,
                hint=f"docker compose run --rm {service}   # by itself, as its owner starts it",
            )
        if why:
            return f"{service} {why}"
    return ""


def state_of(inspected: Mapping[str, Any], *, is_job: bool) -> str:
    """Why one container is not as it is to be, "" if it is; "ended ..." where it never will be: pure."""
    state = inspected["State"]
    if state["Status"] in {"created", "restarting"}:
        return f"is {state['Status']}"
    if state["Status"] in {"exited", "dead"}:
        return "" if state["ExitCode"] == 0 else f"ended with {state['ExitCode']}"
    if is_job:
        return "has not ended yet"
    health = (state.get("Health") or {}).get("Status", "none")
    return "" if health in {"none", "healthy"} else f"is {health}"


def _last_lines(engine: APIClient, container: str) -> str:
    said = engine.logs(container, tail=LOG_LINES).decode(errors="replace").strip()
    return "".join(f"\n    {line[:200]}" for line in (said or "(it wrote nothing)").splitlines())
