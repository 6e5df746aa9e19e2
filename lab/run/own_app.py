"""What a scenario says of an app of one's own, as the cluster's and the balancer's values."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from lab.balancer.config import BalancerSettings
from lab.cluster.own_app import OwnApp, check_service, read_compose
from lab.machine.setup import Toolbox
from lab.scenario.spec import ClusterWish, Scenario, may_be_empty


def own_app(wish: ClusterWish) -> OwnApp | None:
    """The app of one's own that a cluster is wanted of, if it isn't the shop."""
    if wish.compose is None or wish.service is None or wish.port is None:
        return None
    return OwnApp(compose=Path(wish.compose), service=wish.service, port=wish.port, ready=wish.ready, front=wish.front)


def own_files(scenario: Scenario) -> list[str]:
    """The files of one's own that a scenario rests on, by their full paths."""
    journey = (scenario.users.journey or "").rpartition(":")[0]
    return [path for path in (scenario.cluster.compose, journey, scenario.script) if path]


def digest_of(path: str) -> str:
    """What a file holds, as a digest; "" where it is not there."""
    file = Path(path)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def check_own_app(toolbox: Toolbox, wish: ClusterWish) -> None:
    """Raise UsageError for a compose file that the lab can't or must not bring up."""
    own = own_app(wish)
    if own is not None:
        check_service(read_compose(toolbox.compose, own.compose), own)


def balancer_settings(scenario: Scenario) -> BalancerSettings:
    """What a scenario asks of the balancer."""
    wish = scenario.cluster
    settings = BalancerSettings(
        affinity=wish.affinity, may_be_empty=may_be_empty(scenario), repeats_writes=wish.repeats_writes
    )
    if wish.compose is None:
        return settings
    also = {"as_the_app": wish.port} if wish.front is not None else {}
    return msgspec.structs.replace(settings, gated=True, ready=wish.ready, largest_body=wish.largest_body, **also)
