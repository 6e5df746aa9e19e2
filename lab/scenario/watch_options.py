"""A scenario that watches a deployment, from what a command line or a test says instead of a file."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lab.errors import UsageError
from lab.model import Value
from lab.scenario.read import scenario_of
from lab.scenario.spec import Scenario

OVERHEAD = 240.0
"""Seconds of a run beside its steps: logins, rest and reading back."""
ACTIONS_EACH = 10
"""What each user should have done for a run to mean something, unless it says otherwise."""


class WatchOptions(Value):
    """What is watched, by whom, and what deploys. Times in seconds."""

    urls: tuple[str, ...]
    journey: str
    command: tuple[str, ...] = ()
    """The program that deploys; none: somebody else does, meanwhile."""
    users: int = 20
    rate: float | None = None
    release_from: tuple[str, ...] = ()
    """header:NAME, json:PATH, or get:/PATH and get:/PATH#PLACE.IN.JSON; get may stand beside one of the others."""
    replica_from: str | None = None
    evidence: str | None = None
    """compose:PROJECT, swarm:SERVICE, or command:PROGRAM with its arguments."""
    allow: tuple[str, ...] = ()
    token_header: str | None = None
    ca: str | None = None
    within: float = 300.0
    """How long the command may take."""
    before: float = 5.0
    """How long users are there before the command."""
    after: float = 10.0
    """How long they stay after it; without a command, how long they stay in all."""


OPTION_OF: dict[str, str] = {
    "target.urls": "--url",
    "target.tls": "--ca",
    "target.release": "--release-from",
    "target.replica": "--replica-from",
    "target.evidence": "--evidence",
    "target.rate": "--rate",
    "target.allow": "--allow",
    "target.token_header": "--token-header",
    "users.count": "--users",
    "users.journey": "--journey",
    "steps[1].command.within": "--within",
    "steps[1].command.run": "the command",
}
"""Where each key comes from, for whoever typed it."""


def watch_scenario(
    options: WatchOptions,
    changes: Sequence[tuple[str, Any]] = (),
    *,
    notice: Callable[[str], None] = lambda _: None,
    folder: Path | None = None,
    place: Callable[[str], str] | None = None,
) -> Scenario:
    """The scenario that these options stand for, as if a file in `folder` (here, if not given) held it.

    `changes` are keys of the scenario that are something else. Raises UsageError with the option that is wrong, or
    with what `place` says of a key.
    """
    changed = {key for key, _ in changes}
    return scenario_of(
        document_of(options),
        (folder or Path.cwd()) / "lab watch",
        place or (lambda key: _option_of(key, changed)),
        changes,
        notice=notice,
    )


def document_of(options: WatchOptions) -> dict[str, Any]:
    """What a file would hold that says the same."""
    target: dict[str, Any] = {"urls": list(options.urls)}
    if options.ca is not None:
        target["tls"] = {"ca": options.ca}
    if options.release_from:
        target["release"] = _release(options.release_from)
    if options.replica_from is not None:
        target["replica"] = _source(options.replica_from, "--replica-from", ("header", "json"))
    if options.evidence is not None:
        target["evidence"] = _evidence(options.evidence)
    if options.rate is not None:
        target["rate"] = options.rate
    if options.allow:
        target["allow"] = list(options.allow)
    if options.token_header is not None:
        target["token_header"] = options.token_header
    steps: list[dict[str, Any]] = [{"settle": {"for": options.before}}, {"settle": {"for": options.after}}]
    if options.command:
        steps.insert(1, {"command": {"run": list(options.command), "within": options.within}})
    knows_new = bool(options.command or options.evidence) and _has_two_signs(target)
    return {
        "lab": 1,
        "name": "watch",
        "title": f"{' '.join(options.command) or 'A deployment'}, watched at {', '.join(options.urls)}",
        "target": target,
        "users": {"count": options.users, "journey": options.journey},
        "steps": steps,
        "enough": {
            "operations": ACTIONS_EACH * options.users,
            "checks": options.users,
            "users_served_by_new": options.users if knows_new else 0,
        },
        "time_limit": options.before + options.after + OVERHEAD + (options.within if options.command else 0),
    }


def typed(options: WatchOptions) -> str:
    """The command line that says the same."""
    words = ["lab", "watch"]
    for name, value in (
        *(("--url", one) for one in options.urls),
        ("--journey", options.journey),
        ("--users", options.users),
        ("--rate", options.rate),
        *(("--release-from", one) for one in options.release_from),
        ("--replica-from", options.replica_from),
        ("--evidence", options.evidence),
        *(("--allow", one) for one in options.allow),
        ("--token-header", options.token_header),
        ("--ca", options.ca),
        ("--within", options.within),
        ("--before", options.before),
        ("--after", options.after),
    ):
        if value is not None and value != _DEFAULTS.get(name.removeprefix("--").replace("-", "_")):
            words += [name, f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join([*words, *(("--", *options.command) if options.command else ())])


_DEFAULTS = {one.name: one.default for one in msgspec.structs.fields(WatchOptions)}


def _has_two_signs(target: dict[str, Any]) -> bool:
    release = target.get("release", {})
    of_answers = "header" in release or ("json" in release and "get" not in release)
    return of_answers and ("evidence" in target or "get" in release)


def _release(given: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in given:
        source = _source(one, "--release-from", ("header", "json", "get"))
        if "get" in source:
            source["get"], _, place = source["get"].partition("#")
            source |= {"json": place} if place else {}
        if found.keys() & source.keys():
            hint = "--release-from header:X-Release --release-from get:/version#release"
            raise UsageError("says twice where it stands", at=f"--release-from {one}", hint=hint)
        found |= source
    return found


def _source(given: str, option: str, kinds: Sequence[str]) -> dict[str, Any]:
    kind, colon, name = given.partition(":")
    if not colon or not name or kind not in kinds:
        hint = " or ".join(f"{option} {one}" for one in _examples(kinds))
        raise UsageError(f"is not {', '.join(f'{one}:...' for one in kinds)}", at=f"{option} {given}", hint=hint)
    return {kind: name}


def _examples(kinds: Sequence[str]) -> list[str]:
    examples = {"header": "header:X-Release", "json": "json:meta.release", "get": "get:/version#release"}
    return [examples[one] for one in kinds]


def _evidence(given: str) -> dict[str, Any]:
    kind, _, rest = given.partition(":")
    if kind in {"compose", "swarm"} and rest:
        return {kind: rest}
    if kind == "command" and rest.split():
        return {"command": rest.split()}
    what = "is not compose:PROJECT, swarm:SERVICE or command:PROGRAM"
    raise UsageError(what, at=f"--evidence {given}", hint="compose:shop")


def _option_of(key: str, changed: set[str]) -> str:
    """What a person typed that a key comes from."""
    if any(key == one or key.startswith((f"{one}.", f"{one}[")) for one in changed):
        return f"--set {key}"
    whole = next((one for one in OPTION_OF if re.match(rf"{re.escape(one)}(?![\w])", key)), None)
    return key if whole is None else OPTION_OF[whole]
