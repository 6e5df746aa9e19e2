"""What a scenario says of an app of one's own, as the cluster's and the balancer's values."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from lab.balancer.config import BalancerSettings
from lab.cluster.own_app import OwnApp, check_service, read_compose
from lab.machine.setup import Toolbox
from lab.scenario.spec import ClusterSpec, Scenario, may_be_empty


def own_app(spec: ClusterSpec) -> OwnApp | None:
    """The app of one's own that a cluster is wanted of, if it isn't the shop."""
    if spec.compose is None or spec.service is None or spec.port is None:
        return None
    return OwnApp(compose=Path(spec.compose), service=spec.service, port=spec.port, ready=spec.ready, front=spec.front)


def own_files(scenario: Scenario) -> list[str]:
    """The files of one's own that a scenario rests on, by their full paths."""
    journey = (scenario.users.journey or "").rpartition(":")[0]
    return [path for path in (scenario.cluster.compose, journey, scenario.script) if path]


def digest_of(path: str) -> str:
    """What a file holds, as a digest; "" where it is not there."""
    file = Path(path)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def check_own_app(toolbox: Toolbox, spec: ClusterSpec) -> None:
    """Raise UsageError for a compose file that the lab can't or must not bring up."""
    own = own_app(spec)
    if own is not None:
        check_service(read_compose(toolbox.compose, own.compose), own)


def balancer_settings(scenario: Scenario) -> BalancerSettings:
    """What a scenario asks of the balancer."""
    spec = scenario.cluster
    settings = BalancerSettings(
        affinity=spec.affinity, may_be_empty=may_be_empty(scenario), repeats_writes=spec.repeats_writes
    )
    if spec.compose is None:
        return settings
    also = {"as_the_app": spec.port} if spec.front is not None else {}
    return msgspec.structs.replace(settings, gated=True, ready=spec.ready, largest_body=spec.largest_body, **also)
