"""What a swarm says of somebody's service, in the record's words."""

from __future__ import annotations

from typing import Any

from lab.backends.swarm_witness import Seen, changes
from lab.record import Observed


def task(name: str, state: str, wanted: str = "running", image: str = "web:v1@sha256:0") -> dict[str, Any]:
    return {
        "ID": name,
        "Slot": 1,
        "Status": {"State": state},
        "DesiredState": wanted,
        "Spec": {"ContainerSpec": {"Image": image}},
    }


def told(before: Seen, *tasks: dict[str, Any]) -> tuple[Seen, list[tuple[str, str, str]]]:
    seen, fresh = changes(before, tasks, "shop_web", 7)
    return seen, [(one.who, one.what, one.release) for one in fresh]


def test_a_task_is_followed_from_its_start_to_its_end() -> None:
    """Each change once; what stays as it is says nothing."""
    seen, said = told({}, task("t1", "preparing"))
    assert said == [("shop_web.1.t1", "started", "v1")]
    seen, said = told(seen, task("t1", "starting"))
    assert said == []
    seen, said = told(seen, task("t1", "running"))
    assert said == [("shop_web.1.t1", "ready", "v1")]
    seen, said = told(seen, task("t1", "running", "shutdown"), task("t2", "running", image="web:v2"))
    assert said == [("shop_web.1.t1", "leaving", "v1"), ("shop_web.1.t2", "ready", "v2")]
    seen, said = told(seen, task("t1", "shutdown", "shutdown"), task("t2", "running", image="web:v2"))
    assert said == [("shop_web.1.t1", "ended", "v1")]
    assert told(seen, task("t1", "shutdown", "shutdown"), task("t2", "running", image="web:v2"))[1] == []


def test_what_had_ended_before_is_of_no_interest_and_what_is_forgotten_has_ended() -> None:
    """A swarm keeps some old tasks for a while, and drops them when it likes."""
    seen, said = told({}, task("old", "failed", "shutdown"), task("t1", "running"), task("t2", "new"))
    assert said == [("shop_web.1.t1", "ready", "v1")]
    assert told(seen)[1] == [("shop_web.1.t1", "ended", "v1")]


def test_whose_word_it_is_is_said() -> None:
    """The swarm's, and never the lab's own."""
    _, [event] = changes({}, [task("t1", "running")], "shop_web", 7)
    assert event == Observed(at=7, who="shop_web.1.t1", what="ready", release="v1", source="the swarm")
