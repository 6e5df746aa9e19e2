"""What a scenario says of an app of one's own, as the cluster's and the balancer's values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from lab.balancer.config import BalancerSettings
from lab.cluster.own_app import OwnApp
from lab.cluster.own_checks import check_service
from lab.cluster.own_files import ReadCompose, files_of, inactive_services, read_compose
from lab.cluster.own_images import OwnParts, check_images, parts_of, pull_missing
from lab.machine.engine import APIClient, connect
from lab.machine.images import is_own_image
from lab.machine.install import provide_compose
from lab.machine.setup import Toolbox
from lab.scenario.spec import ClusterSpec, Scenario, images_of

Say = Callable[[str], None]


def own_app(spec: ClusterSpec) -> OwnApp | None:
    """The app of one's own that a cluster is wanted of, if it isn't the shop."""
    if spec.compose is None or spec.service is None or spec.port is None:
        return None
    return OwnApp(
        compose=files_of([Path(one) for one in spec.compose_files]),
        service=spec.service,
        port=spec.port,
        ready=spec.ready,
        front=spec.front,
        services=spec.services,
        stop=spec.stop,
        keep_alive=spec.keep_alive,
        answer_timeout=spec.answer_timeout,
        ready_within=spec.ready_within,
    )


def check_own_app(
    toolbox: Toolbox,
    spec: ClusterSpec,
    releases: Sequence[str] = (),
    *,
    say: Say = lambda _: None,
    pulls: bool = False,
) -> OwnParts | None:
    """Raise UsageError for a compose file that the lab can't or must not bring up, and for images that are not there.

    `releases` are the app's images that will be needed, its first one if none are named. What a person must know of
    the run is said. None for the shop.
    """
    images = [toolbox.images.tag(one) if is_own_image(one) else one for one in releases or (spec.release,)]
    return _check(toolbox.engine, toolbox.compose, spec, images, say=say, pulls=pulls)


def check_dry(scenario: Scenario, say: Say, plan: Callable[[OwnParts | None], None]) -> None:
    """All checks of a run, before anything is made: Compose and the engine are asked, and left as they are.

    `plan` is shown as soon as the compose file is understood: images that are missing hide nothing of it. It is told
    what the app brings along, None for the shop.
    """
    own = own_app(scenario.cluster)
    if own is None:
        plan(None)
        return
    compose = provide_compose(say)
    read = _read_checked(compose, own)
    plan(parts_of(read, own))
    check_images(connect(), compose, read, own, [one for one in images_of(scenario) if not is_own_image(one)])


def _check(
    engine: APIClient,
    compose: Sequence[str],
    spec: ClusterSpec,
    releases: Sequence[str],
    *,
    say: Say = lambda _: None,
    pulls: bool = False,
) -> OwnParts | None:
    own = own_app(spec)
    if own is None:
        return None
    read = _read_checked(compose, own)
    for image in pull_missing(engine, read, own, releases) if pulls else ():
        say(f"pulling {image}")
    check_images(engine, compose, read, own, releases)
    parts = parts_of(read, own)
    for note in parts.notes:
        say(f"note: {note}")
    return parts


def _read_checked(compose: Sequence[str], own: OwnApp) -> ReadCompose:
    read = read_compose(compose, own.compose)
    check_service(read.config, own, lambda: inactive_services(compose, own.compose))
    return read


def balancer_settings(spec: ClusterSpec, may_be_empty: int) -> BalancerSettings:
    """What a cluster asks of its balancer; so many of its slots may stand empty for long."""
    settings = BalancerSettings(
        affinity=spec.affinity,
        may_be_empty=may_be_empty,
        repeats_writes=spec.repeats_writes,
        answer_timeout=spec.answer_timeout,
    )
    if spec.compose is None:
        return settings
    also = {"as_the_app": spec.port} if spec.front is not None else {}
    return msgspec.structs.replace(settings, gated=True, ready=spec.ready, largest_body=spec.largest_body, **also)
