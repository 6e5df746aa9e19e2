"""What a scenario says of an app of one's own, as the cluster's and the balancer's values."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lab.balancer.config import BalancerSettings
from lab.cluster.own_app import OwnApp, check_service, read_compose
from lab.machine.setup import Toolbox
from lab.scenario.spec import ClusterSpec


def own_app(spec: ClusterSpec) -> OwnApp | None:
    """The app of one's own that a cluster is wanted of, if it isn't the shop."""
    if spec.compose is None or spec.service is None or spec.port is None:
        return None
    return OwnApp(compose=Path(spec.compose), service=spec.service, port=spec.port, ready=spec.ready, front=spec.front)


def check_own_app(toolbox: Toolbox, spec: ClusterSpec) -> None:
    """Raise UsageError for a compose file that the lab can't or must not bring up."""
    own = own_app(spec)
    if own is not None:
        check_service(read_compose(toolbox.compose, own.compose), own)


def balancer_settings(spec: ClusterSpec, may_be_empty: int) -> BalancerSettings:
    """What a cluster asks of its balancer; so many of its slots may stand empty for long."""
    settings = BalancerSettings(affinity=spec.affinity, may_be_empty=may_be_empty, repeats_writes=spec.repeats_writes)
    if spec.compose is None:
        return settings
    also = {"as_the_app": spec.port} if spec.front is not None else {}
    return msgspec.structs.replace(settings, gated=True, ready=spec.ready, largest_body=spec.largest_body, **also)
