"""What a report says was tested of somebody's own app, and what was not, with the reason."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from lab.clock import NS
from lab.oracle.verdict import Evidence
from lab.record import AnyEvent, AppStopped, CommandEnded, IdleClosed, Step, Strike
from lab.run.tested import parts_tested
from lab.scenario.spec import Scenario

SCENARIO = """
lab: 1
name: own
title: own
cluster: {compose: c.yaml, service: web, port: 80, release: "web:v1", services: {redis: store, jobs: worker}}
users: {journey: "j.py:J"}
steps: [{roll: {to: "web:v2", with: [jobs], before: {run: [./migrate]}}}]
"""
STOPPED = AppStopped(at=5 * NS, replica="a1-1", slot="a1", service="web", signal="SIGTERM", grace=3)
MIGRATED = CommandEnded(at=NS, command=1, code=0, seconds=1)
ALONG = Step(at=10 * NS, action="recreate", slot="", replica="jobs", release="v2", why="along")
STORE = "store"
STRUCK = Strike(
    at=7,
    strike=1,
    fault="SIGKILL",
    victim="redis",
    container="x",
    slot="",
    zone="",
    release="",
    serving=3,
    role="store",
)


def parts(
    text: str = SCENARIO, events: Sequence[AnyEvent] = (), *, reads: int = 0, busy: int = 0, out: str = ""
) -> dict[str, str]:
    scenario = msgspec.yaml.decode(text, type=Scenario)
    evidence = Evidence(
        operations=9,
        users=3,
        users_hurt=0,
        checks={"state_kept": reads},
        occasions={"busy_stops": busy},
        why_nothing="" if reads else "the state never changed",
        why_no_logout=out,
    )
    return {one.part: one.text.partition(": ")[2] for one in parts_tested(scenario, evidence, events)}


def test_all_that_was_done_is_told_as_tested() -> None:
    """With its counts; what the lab stands in for is not."""
    assert parts(events=[MIGRATED, STOPPED, STRUCK, ALONG], reads=40, busy=1) == {
        "state": "tested: 40 reads of what had changed, through another replica",
        "drain": "tested: 1 planned stops by the app's own signal, 1 with requests under way",
        "kept connections": "tested: the app closed none that was idle, in 9 s",
        "proxy": "not tested: the lab's balancer stood in its place",
        "store": "tested: struck 1 times; what it lost is told by what users read",
        "migrations": "tested: ./migrate was run before the new release",
        "workers": "tested: jobs upgraded along",
        "logout": "not tested: no session that its user had ended was turned away: users log out where their journey"
        " has log_out",
        "long-lived connections": "not tested: users make requests alone, no WebSocket and no event stream",
    }


def test_logouts_that_never_come_about_are_told_with_their_reason() -> None:
    """A journey that has `log_out` need not be told to have one."""
    assert parts(out="log_out ended early in 100 % of its calls: no button")["logout"] == (
        "not tested: log_out ended early in 100 % of its calls: no button"
    )


@pytest.mark.parametrize(
    ("change", "part", "said"),
    [
        (("", ""), "state", "not tested: the state never changed"),
        (("", ""), "drain", "not tested: nothing was stopped"),
        (("", ""), "store", "not tested: redis ran on"),
        (("", ""), "workers", "not tested: jobs stayed as it was"),
        ((", before: {run: [./migrate]}", ""), "migrations", "not tested: no roll has a `before`"),
        (("redis: store, ", ""), "store", "not tested: no service of cluster.services is a store"),
        (
            ("port: 80", "port: 80, keep_alive: false"),
            "kept connections",
            "not tested: each request had a connection of",
        ),
        (("port: 80", "port: 80, stop: after_answers"), "drain", "not tested: the app was told only when"),
        (("port: 80", "port: 80, front: {service: edge, port: 8}"), "proxy", "not tested: users came through edge"),
    ],
)
def test_what_was_not_done_says_why(change: tuple[str, str], part: str, said: str) -> None:
    """Nothing is claimed of it."""
    assert parts(SCENARIO.replace(*change))[part].startswith(said)


def test_a_stop_without_a_request_in_it_is_no_test() -> None:
    """However many there were."""
    assert (
        parts(events=[STOPPED])["drain"]
        == "not tested: no request was under way at any of 1 stops: all were answered before the signal came"
    )


def test_an_app_that_closes_idle_connections_is_told_of() -> None:
    """By the shortest time that was seen, with what to do: hardly any run meets the race itself."""
    closed = [
        IdleClosed(at=NS, replica=f"{slot}-1", slot=slot, after=after) for slot, after in (("a1", 1.1), ("b1", 1))
    ]
    said = parts(events=closed)["kept connections"]
    assert said.startswith("not tested: web closes idle ones itself after 1.0 s, and whoever keeps them longer")


def test_of_the_lab_s_own_shop_nothing_is_asked() -> None:
    """Its parts are the lab's."""
    text = SCENARIO.replace('compose: c.yaml, service: web, port: 80, release: "web:v1"', 'release: "shop:v1"')
    assert parts(text.replace('users: {journey: "j.py:J"}\n', "")) == {}
