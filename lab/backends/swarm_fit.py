"""What a swarm can't do of what a scenario may ask: refused before anything is started, with what can be done."""

from __future__ import annotations

from lab.backends.worker_fit import check_shared_users
from lab.balancer.config import Affinity
from lab.cluster.stores import OrdersPlace
from lab.deploy.rollout import Strategy
from lab.errors import UsageError
from lab.model import Role
from lab.scenario.spec import ClusterSpec, Scenario, walk_steps

ON_NODES = ("kill", "crash", "stop", "freeze", "slow", "squeeze")
"""Faults that a container's own engine does by itself."""


def check_spec(spec: ClusterSpec) -> None:
    """Raise UsageError for a cluster that the lab does not bring up on a swarm."""
    if spec.compose is not None:
        _refuse(
            "cluster.compose", "a stack of your own is your own `docker stack deploy`", "lab watch   # that command"
        )
    if spec.affinity is not Affinity.NONE:
        _refuse("cluster.affinity", "the balancers of a swarm find replicas by name, and keep nobody at one", "none")
    if spec.stores.tier.is_replicated or spec.orders is not OrdersPlace.REDIS:
        _refuse("cluster.store", "on a swarm one Redis keeps everything", "store: redis")
    if len(set(spec.zones.values())) > 1:
        _refuse("cluster.zones", "Swarm spreads replicas evenly over its zones", "as many in each zone")


def check_rollout(strategy: Strategy) -> None:
    """Raise UsageError for a strategy that Swarm has no word for."""
    if not strategy.is_slot_by_slot:
        _refuse(
            "strategy", "Swarm's `service update` is a rolling one", "strategy: rolling, with batch, surge and pause"
        )
    if strategy.judge is not None or strategy.approve:
        _refuse("judge", "Swarm looks at health alone, and waits for nobody", "strategy: rolling")


def check_steps(scenario: Scenario) -> None:
    """Raise UsageError for a step that can't be done on a swarm."""
    if scenario.autoscale is not None:
        _refuse("autoscale", "nobody counts requests on a swarm", "scale steps")
    for at, step in walk_steps(scenario.steps):
        if step.roll is not None:
            check_rollout(step.roll.wanted_strategy)
        if step.fault is not None:
            _refuse(f"{at}.fault", "the moments of an update are Swarm's own", "strike, beside the roll in `together`")
        if step.lose_zone is not None and step.lose_zone.cut_off:
            _refuse(f"{at}.lose_zone.cut_off", "a zone of a swarm is lost with its machine", "cut_off: false")
        strike = step.strike
        if strike is not None and strike.role is not Role.NODE and strike.do not in ON_NODES:
            _refuse(f"{at}.strike.do", f"{strike.do} is not done on a swarm", " | ".join(ON_NODES))


def check_workers(scenario: Scenario, count: int) -> None:
    """Raise UsageError for users who can't be divided among workers, or whose workers would be struck with a node."""
    check_shared_users(scenario, count)
    for at, step in walk_steps(scenario.steps):
        takes_node = step.lose_zone is not None or (step.strike is not None and step.strike.role is Role.NODE)
        if takes_node:
            _refuse(at, "the workers of the users on that node would go with it", "leave --workers out")


def _refuse(at: str, what: str, hint: str) -> None:
    raise UsageError(what, at=at, hint=hint)
