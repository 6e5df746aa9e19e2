"""What is told of a cluster that stands, from look to look, on a cluster in this process."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from lab.backends.protocol import ClusterOrder
from lab.machine.projects import kept_identity
from lab.model import Release
from lab.operate.standing import ClusterLook, scenario_of_cluster
from lab.record import AnyEvent, Serving, Step
from lab.retry import wait_until
from lab.scenario.read import read_scenario
from tests.in_process import InProcessLab, small


def test_replicas_that_come_serve_are_killed_and_go_are_told(tmp_path: Path) -> None:
    """Each once, whoever does it."""
    lab = InProcessLab(tmp_path)
    path = tmp_path / "scenario.yaml"
    path.write_text(small())
    spec = read_scenario(path).cluster
    told: list[AnyEvent] = []
    with lab.backend.bring_up(ClusterOrder(identity=kept_identity("stands"), spec=spec)) as live:
        look = ClusterLook(live, told.append)
        look.look()
        slot = live.cluster.slots[0]
        one = live.cluster.create(slot, Release(name="v1", image="shop:v1"))
        live.cluster.start(one)
        look.look()
        live.cluster.signal(one, "SIGUSR1")
        wait_until("it serves", lambda: bool(live.balancer.holders({slot.name})), within=5)
        wait_until("it is seen", lambda: _sees(look, told, "enter"), within=5)
        live.cluster.signal(one, "SIGKILL")
        live.cluster.remove(one)
        look.look()
        look.look()
    steps = [(one.action, one.slot) for one in told if isinstance(one, Step)]
    assert steps == [("create", "a1"), ("enter", "a1"), ("remove", "a1")]
    assert [total for total, _ in groupby(one.total for one in told if isinstance(one, Serving))] == [0, 1, 0]


def _sees(look: ClusterLook, told: list[AnyEvent], action: str) -> bool:
    look.look()
    return any(isinstance(one, Step) and one.action == action for one in told)


def test_its_page_knows_zones_and_no_users(tmp_path: Path) -> None:
    """As a scenario without steps."""
    path = tmp_path / "scenario.yaml"
    path.write_text(small())
    scenario = scenario_of_cluster("stands", "v1", read_scenario(path).cluster.slots)
    assert scenario.cluster.zones == {"a": 1, "b": 1, "c": 1}
    assert (scenario.users.count, scenario.users.doubled) == (0, 0)
