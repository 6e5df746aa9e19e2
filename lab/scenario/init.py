"""`lab init`: a scenario and a journey to begin with, written from somebody's own compose files."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import yaml

from lab.cluster.own_app import OwnApp, ServiceRole, image_of
from lab.cluster.own_checks import check_service
from lab.cluster.own_files import (
    ReadCompose,
    copy_example,
    files_of,
    find_compose_files,
    inactive_services,
    profiles_with,
    read_compose,
)
from lab.cluster.own_images import unset_note
from lab.errors import ExitCode, UsageError
from lab.machine.engine import NotFound, engine_errors, try_connect
from lab.machine.install import provide_compose
from lab.model import Front, is_image_name, release_name
from lab.record import write_whole
from lab.scenario.guess import Guess, Guesses, guess
from lab.scenario.schema import schema_text

Say = Callable[[str], None]
SCHEMA = "lab.schema.json"


def write_scenario(compose: Sequence[str], service: str | None, folder: Path, say: Say) -> int:
    """Write lab.yaml, its schema and journey.py into `folder`, and say why it took what it took.

    Raises UsageError rather than overwrite, or choose between two.
    """
    files = files_of([Path(one) for one in compose]) if compose else find_compose_files(folder)
    made = {folder / "lab.yaml": "", folder / "journey.py": _JOURNEY, folder / SCHEMA: schema_text()}
    for path in made:
        if path.exists():
            hint = shlex.join(["mv", str(path), f"{path}.old"])
            raise UsageError("is there already, and nothing is overwritten", at=str(path), hint=hint)
    if not files:
        raise UsageError("no compose file is here", at=str(folder), hint="lab init --compose FILE")
    compose_here = provide_compose(say)
    read = read_compose(compose_here, files)
    try:
        taken = guess_all(read, service)
    except UsageError as exc:
        dormant = {name: of for name, of in _dormant(compose_here, read).items() if service in (None, name)}
        if not dormant:
            raise
        first = next(iter(dormant.values()))[0]
        hint = "\n".join(filter(None, (f"{profiles_with(files[0].parent, first)} lab init", exc.hint)))
        what = f"{exc.what}; of profiles that are not active: {_with_profiles(dormant)}"
        raise UsageError(what, at=exc.at, hint=hint) from exc
    named = [Path(one) for one in compose] or list(files[:1] if files_of(files[:1]) == files else files)
    made[folder / "lab.yaml"] = scenario_text(read, taken, [os.path.relpath(one, folder) for one in named])
    _write_all(made)
    for path in made:
        say(f"wrote {path}")
    for what, one in (("service", taken.service), ("port", taken.port), ("ready", taken.ready)):
        say(f"  {what:<8} {one.value}{'' if one.is_sure else '   (a guess)'}: {one.why}")
    for name in read.unset:
        say(f"  note: {unset_note(name)}")
    with suppress(UsageError):  # what Compose can't read with other profiles is no matter here
        dormant = _dormant(compose_here, read)
        if dormant:
            say(f"  note: left out are those of profiles that are not active: {_with_profiles(dormant)}")
    refused = why_refused(read, taken)
    if refused:
        say(f"  note: `lab run` will refuse these files as they are: {refused}")
    scenario, journey, _ = made
    file = shlex.quote(str(scenario))
    say(f"  next: tell {journey} how a user logs in, acts and reads; see one user at it with: lab try {file}")
    say(f"  and then: lab run {file}")
    return ExitCode.HELD


def _dormant(compose: Sequence[str], read: ReadCompose) -> dict[str, tuple[str, ...]]:
    """The services of profiles that are not active, with their profiles. Raises UsageError where Compose can't tell."""
    active = read.config.get("services") or {}
    found = inactive_services(compose, read.files)
    return {name: profiles for name, profiles in found.items() if name not in active}


def _with_profiles(services: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{name} ({' or '.join(profiles)})" for name, profiles in services.items())


def _write_all(made: Mapping[Path, str]) -> None:
    """All files or none. Raises UsageError where the disk refuses."""
    written: list[Path] = []
    for path, text in made.items():
        try:
            write_whole(path, text.encode())
        except OSError as exc:
            for one in written:
                one.unlink(missing_ok=True)
            there = shlex.quote(str(path.parent))
            hint = f"df -h {there}; ls -ld {there}"
            raise UsageError(f"can't be written: {exc.strerror}", at=str(path), hint=hint) from exc
        written.append(path)


def guess_all(
    read: ReadCompose, service: str | None, look: Callable[[str], Mapping[str, Any]] | None = None
) -> Guesses:
    """What the files say, and the image of the app where the engine has it. Raises UsageError, with the files."""
    at, services = ", ".join(map(str, read.files)), read.config.get("services") or {}
    if not services:
        raise UsageError("has no service, or none of an active profile", at=at, hint="lab init --compose FILE")
    if service is not None and service not in services:
        raise UsageError(f"there is no service {service!r}", at=at, hint=f"one of: {', '.join(services)}")
    try:
        taken = guess(read.config, service)
    except UsageError as exc:
        raise UsageError(exc.what, at=at, hint=exc.hint) from exc
    image = image_of(read.config, taken.service.value)
    if not is_image_name(image):
        unset = f": {', '.join(read.unset)} is not set" if read.unset else ""
        what = f"{image!r} is not the name of an image{unset}"
        raise UsageError(what, at=f"{at}: services.{taken.service.value}.image", hint=_set_hint(read))
    known = guess(read.config, taken.service.value, (look or _look)(image))
    front = known.front if known.front is not None and _may_stand_in_front(read, known.front[0]) else None
    return msgspec.structs.replace(known, service=taken.service, front=front)


def _may_stand_in_front(read: ReadCompose, name: str) -> bool:
    """Whether a run would take it but for its mounts of files, which an override file mends; not one of the engine's
    socket, without which it would find nobody.
    """
    one = read.config["services"][name]
    mounts = [{**mount, "read_only": True} for mount in one.get("volumes") or ()]
    return not _reaches_out(read, name, {**one, "volumes": mounts})


def _reaches_out(read: ReadCompose, name: str, service: Mapping[str, Any]) -> bool:
    """Whether a run would refuse a service for what it reaches, whoever else is there."""
    alone = {**read.config, "services": {name: {**service, "depends_on": {}}}}
    try:
        check_service(alone, OwnApp(compose=read.files, service=name, port=1, ready="/"))
    except UsageError:
        return True
    return False


def _set_hint(read: ReadCompose) -> str:
    said = f"{read.unset[0]}=... lab init" if read.unset else "image: web:v1"
    return copy_example(read.files[0].parent / ".env") or said


def _look(image: str) -> Mapping[str, Any]:
    """What the engine says of an image; nothing where there is no engine, or it does not have it."""
    engine = try_connect(timeout=5)
    if engine is None:
        return {}
    with engine_errors("look at an image", at=image):
        try:
            return dict(engine.inspect_image(image)["Config"] or {})
        except NotFound:
            return {}
        finally:
            engine.close()


def why_refused(read: ReadCompose, taken: Guesses) -> str:
    """Why a run would refuse what was written; "" if it would not, but for its images."""
    app = OwnApp(
        compose=read.files,
        service=taken.service.value,
        port=int(taken.port.value),
        ready=taken.ready.value,
        front=None if taken.front is None else Front(service=taken.front[0], port=taken.front[1]),
        services=_roles(read, taken),
    )
    try:
        check_service(read.config, app)
    except UsageError as exc:
        return str(exc)
    return ""


def _roles(read: ReadCompose, taken: Guesses) -> dict[str, ServiceRole]:
    """Stores and workers, and left out whatever proxy or tool reaches out of its container."""
    roles = {**dict.fromkeys(taken.stores, ServiceRole.STORE), **dict.fromkeys(taken.workers, ServiceRole.WORKER)}
    kept = {taken.service.value, *roles, *(() if taken.front is None else taken.front[:1])}
    for name in read.config["services"]:
        if name in kept:
            continue
        if _reaches_out(read, name, read.config["services"][name]):
            roles[name] = ServiceRole.LEFT_OUT
    return roles


def scenario_text(read: ReadCompose, taken: Guesses, files: Sequence[str]) -> str:
    """The scenario file: pure."""
    name = taken.service.value
    image = image_of(read.config, name)
    stem, tag = _stem_and_tag(image)
    roles = ", ".join(f"{_quoted(one)}: {role.value}" for one, role in _roles(read, taken).items())
    front = taken.front
    return _SCENARIO.format(
        schema=SCHEMA,
        title=_quoted(f"A rolling upgrade of {name}", always=True),
        compose=_quoted(files[0]) if len(files) == 1 else f"[{', '.join(map(_quoted, files))}]",
        service=_with_reason("service", _quoted(name), taken.service),
        services=f"  services: {{{roles}}}    # a guess by their images and commands: what may be struck\n"
        if roles
        else "",
        port=_with_reason("port", taken.port.value, taken.port),
        ready=_with_reason("ready", _quoted(taken.ready.value), taken.ready),
        image=_quoted(f"{stem}:{tag}" if "@" not in image else image, always=True),
        to=_quoted(f"{stem}:{'next' if tag != 'next' else 'next-2'}", always=True),
        front=""
        if front is None
        else f"  front: {{service: {_quoted(front[0])}, port: {front[1]}}}    # users come by it\n",
    )


def _stem_and_tag(image: str) -> tuple[str, str]:
    plain = image.partition("@")[0]
    tag = release_name(plain)
    return (plain, "latest") if tag == plain else (plain.removesuffix(f":{tag}"), tag)


def _with_reason(key: str, value: str, one: Guess) -> str:
    why = "".join(char if char.isprintable() else " " for char in one.why)
    return f"{f'{key}: {value}':<34}  # {'' if one.is_sure else 'a guess: '}{why}"


_PLAIN = re.compile(r"[A-Za-z_/.][A-Za-z0-9_./-]*")


def _quoted(text: str, *, always: bool = False) -> str:
    """As it stands in a YAML file, so that it is read as this very text."""
    if not always and _PLAIN.fullmatch(text) and yaml.safe_load(text) == text:
        return text
    return json.dumps(text, ensure_ascii=False)


_SCENARIO = """\
# yaml-language-server: $schema={schema}
# Do logged-in users of your app keep their state through an upgrade? `lab run lab.yaml` tells. Times are in seconds.
lab: 1
name: own-app
title: {title}

cluster:
  compose: {compose}
  # The service is the stateless one: it is multiplied and upgraded; the others stay as they are. The port is where it
  # listens inside its container, and `ready` is the path that answers 2xx once it is ready.
  {service}
  {port}
  {ready}
{front}{services}  release: {image}
  zones: {{a: 1, b: 1, c: 1}}             # replicas in each zone

users: {{count: 20, journey: "journey.py:Visitor", think: 0.4, tries: 3}}

promises: {{serving_at_least: 3}}

steps:
  - settle: {{for: 3}}
  - roll: {{to: {to}}}
  - settle: {{for: 3}}

enough: {{operations: 300, checks: 100, users_served_by_new: 20}}
time_limit: 240
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
