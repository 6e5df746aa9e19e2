"""`lab init`: a scenario and a journey to begin with, written from somebody's own compose file."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.cluster.own_files import files_of, read_compose
from lab.errors import ExitCode, UsageError
from lab.machine.install import provide_compose
from lab.model import release_name
from lab.scenario.schema import schema_text

Say = Callable[[str], None]
USUAL_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
USUAL_PORT = 8000
SCHEMA = "lab.schema.json"


def write_scenario(compose: str | None, service: str | None, folder: Path, say: Say) -> int:
    """Write lab.yaml, its schema and journey.py into `folder`. Raises UsageError rather than overwrite or guess."""
    file = Path(compose) if compose else _find_compose(folder)
    made = {folder / "lab.yaml": "", folder / "journey.py": _JOURNEY, folder / SCHEMA: schema_text()}
    for path in made:
        if path.exists():
            raise UsageError("is there already, and nothing is overwritten", at=str(path), hint=f"mv {path} {path}.old")
    if not file.is_file():
        raise UsageError("there is no such file", at=str(file), hint="lab init --compose FILE")
    read = read_compose(provide_compose(say), files_of([file])).config
    made[folder / "lab.yaml"] = scenario_text(read, service or choose_service(read, file), file)
    for path, text in made.items():
        path.write_text(text)
        say(f"wrote {path}")
    scenario, journey, _ = made
    say(f"  next: tell {journey} how a user logs in, acts and reads; then: lab run {shlex.quote(str(scenario))}")
    return ExitCode.HELD


def choose_service(read: Mapping[str, Any], file: Path) -> str:
    """The service that is surely the app: the only one built here, or published, or needed by no other."""
    services: Mapping[str, Any] = read.get("services") or {}
    needed = {name for one in services.values() for name in one.get("depends_on") or {}}
    built = [name for name, one in services.items() if one.get("build")]
    published = [name for name, one in services.items() if one.get("ports")]
    for found in (built, published, [name for name in services if name not in needed]):
        if len(found) == 1:
            return found[0]
    raise UsageError(
        "it does not say which service is the app", at=str(file), hint=f"lab init --service {' | '.join(services)}"
    )


def scenario_text(read: Mapping[str, Any], service: str, file: Path) -> str:
    """The scenario file: pure."""
    services = read.get("services") or {}
    if service not in services:
        raise UsageError(f"there is no service {service!r}", at=str(file), hint=f"one of: {', '.join(services)}")
    told = services[service]
    image = told.get("image") or f"{read.get('name', file.resolve().parent.name)}-{service}"
    tagged = image if release_name(image) != image else f"{image}:latest"
    exposed = (re.match("[0-9]+", str(one)) for one in told.get("expose") or ())  # "3000/tcp", "8000-8010"
    ports = [int(port["target"]) for port in told.get("ports") or ()] + [int(one[0]) for one in exposed if one]
    return _SCENARIO.format(
        schema=SCHEMA,
        compose=file.name,
        service=service,
        port=ports[0] if ports else USUAL_PORT,
        image=tagged,
        to=f"{tagged.rpartition(':')[0]}:next",
        front=_front_line(services, service),
    )


def _front_line(services: Mapping[str, Any], service: str) -> str:
    """Where one service stands before the app and is published, it may stay there."""
    before = [
        (name, one["ports"][0]["target"])
        for name, one in services.items()
        if service in (one.get("depends_on") or {}) and one.get("ports")
    ]
    if len(before) != 1:
        return ""
    [(name, port)] = before
    return f"  front: {{service: {name}, port: {port}}}        # users come through it\n"


def _find_compose(folder: Path) -> Path:
    found = next((folder / name for name in USUAL_NAMES if (folder / name).is_file()), None)
    if found is None:
        raise UsageError("no compose file is here", at=str(folder), hint="lab init --compose FILE")
    return found


_SCENARIO = """\
# yaml-language-server: $schema={schema}
# Do logged-in users of your app keep their state through an upgrade? `lab run lab.yaml` tells. Times are in seconds.
lab: 1
name: own-app
title: "A rolling upgrade of {service}"

cluster:
  compose: {compose}
  service: {service}                    # the stateless one: it is multiplied and upgraded; the others stay as they are
  port: {port}                            # where it listens inside its container
{front}  ready: /healthz                       # answers 2xx once it is ready
  release: "{image}"
  zones: {{a: 1, b: 1, c: 1}}             # replicas in each zone

users: {{count: 20, journey: "journey.py:Visitor", think: 0.4, tries: 3}}

promises: {{serving_at_least: 3}}

steps:
  - settle: {{for: 3}}
  - roll: {{to: "{to}"}}
  - settle: {{for: 3}}

enough: {{operations: 300, checks: 100, users_served_by_new: 20}}
longer_than: 240
"""

_JOURNEY = '''\
"""One user of the app: how to log in, what to do, and what must survive."""

from lab import Journey


class Visitor(Journey):
    def begin(self):
        return {"items": []}

    def log_in(self, http):
        page = http.get("/login")
        token = page.field("csrf")  # a hidden field of the form; leave it out where there is none
        http.post("/login", form={"user": f"user{self.number}", "password": "secret", "csrf": token})

    def act(self, http):
        item = self.unique()
        http.post("/items", json={"item": item}, once=True)  # once: the app applies an Idempotency-Key once
        self.model["items"].append(item)  # only reached when the app acknowledged it

    def state(self, http):
        return {"items": http.get("/items.json").json()["items"]}
'''
