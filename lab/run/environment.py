"""On what a run ran: the document of its record that says which machine, engine, images and files it had."""

from __future__ import annotations

import os
import socket

from lab import record
from lab.backends.protocol import Backend
from lab.backends.target import Target
from lab.clock import Clock
from lab.machine.host import describe_system, python_version
from lab.run.variables import interpolated
from lab.scenario.own_files import digest_of, own_files
from lab.scenario.spec import Scenario, all_images_of, releases_of


def environment_of(
    backend: Backend, scenario: Scenario, *, run: str, seed: int, repeat: str, clock: Clock
) -> dict[str, object]:
    """The document, as it is now."""
    return {
        **_machine(scenario, run=run, seed=seed, repeat=repeat, clock=clock),
        "backend": backend.name,
        **backend.describe(),
        "images": backend.image_ids(all_images_of(scenario)),
        "variables": interpolated(scenario.cluster.compose_files, os.environ),
        "releases": {name: backend.release(image).image for name, image in releases_of(scenario).items()},
    }


def environment_of_target(
    target: Target, scenario: Scenario, *, run: str, seed: int, repeat: str, clock: Clock
) -> dict[str, object]:
    """The document of a run against somebody else's deployment: of what that is made of nothing is known."""
    return {**_machine(scenario, run=run, seed=seed, repeat=repeat, clock=clock), **target.describe(), "images": {}}


def _machine(scenario: Scenario, *, run: str, seed: int, repeat: str, clock: Clock) -> dict[str, object]:
    return {
        **record.written_by(),
        "run": run,
        "seed": seed,
        "repeat": repeat,
        "began": clock.wall().isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "python": python_version(),
        "system": describe_system(),
        "cores": os.cpu_count(),
        "files": {path: digest_of(path) for path in own_files(scenario)},
    }
