"""Somebody's own compose files: which ones plain `docker compose` would take, and what it makes of them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.errors import ClusterError, UsageError
from lab.model import Value

USUAL_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
READ_WITHIN = 60.0
"""Seconds for one `docker compose config`."""
_EXAMPLES = (".example", ".sample", ".template", ".dist", ".default")
"""What a file's example is called, after the file's own name."""
_NO_ENV_FILE = re.compile(r"env file (?P<path>.+?) not found")
_REQUIRED = re.compile(r"required variable (?P<name>\w+) is missing a value")
_REQUIRES = re.compile(r"(?<!\$)\$\{(?P<name>\w+):?\?")
_UNDEFINED = re.compile(r'depends on undefined service "?(?P<name>[\w.-]+)"?')
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<value>.*?)(?P=quote)""")
_REMARK = re.compile(r"(^|\s+)#.*")
_UNSET = re.compile(r'The \\?"(?P<name>\w+)\\?" variable is not set')


class ReadCompose(Value):
    """What Compose makes of somebody's files."""

    config: dict[str, Any]
    """`docker compose config --format json`: variables, overrides, extensions, includes and profiles applied."""
    files: tuple[Path, ...]
    unset: tuple[str, ...] = ()
    """Variables that the files ask for and nothing sets: Compose puts nothing in their place."""
    environment: Mapping[str, str] = {}
    """The variables that secrets and configs take their content from, where the files name any."""


def files_of(named: Sequence[Path]) -> tuple[Path, ...]:
    """The files that are meant: one of the usual names stands for all that plain `docker compose` takes in its folder.

    That is what COMPOSE_FILE lists, in the environment or in the folder's .env, or else the file with its override
    file, if there is one. Whatever is named in another way is taken as it is.
    """
    if len(named) != 1 or named[0].name not in USUAL_NAMES:
        return tuple(named)
    [file] = named
    listed = _variable(file.parent, "COMPOSE_FILE")
    if listed:
        between = _variable(file.parent, "COMPOSE_PATH_SEPARATOR") or os.pathsep
        return tuple(file.parent / one for one in listed.split(between) if one)
    override = next((file.parent / name for name in OVERRIDES if (file.parent / name).is_file()), None)
    return (file,) if override is None else (file, override)


def find_compose_files(folder: Path) -> tuple[Path, ...]:
    """The files that plain `docker compose` would take in a folder; none where there are none."""
    usual = next((folder / name for name in USUAL_NAMES if (folder / name).is_file()), None)
    if usual is not None:
        return files_of([usual])
    found = files_of([folder / USUAL_NAMES[0]])
    return () if found == (folder / USUAL_NAMES[0],) else found


def command_of(compose: Sequence[str], files: Sequence[Path], *rest: str) -> str:
    """A command line for a person, with the Compose that is here."""
    named = [part for file in files for part in ("-f", str(file))]
    return shlex.join([*compose, *named, *rest])


def read_compose(compose: Sequence[str], files: Sequence[Path]) -> ReadCompose:
    """What Compose makes of these files (see `files_of`), variables and all.

    Raises UsageError with Compose's own words, and ClusterError where it says nothing in time.
    """
    for file in files:
        if file.is_dir():
            raise UsageError("is a folder, not a compose file", at=str(file), hint=f"ls {shlex.quote(str(file))}")
        if not file.is_file():
            raise UsageError("there is no such file", at=str(file), hint=f"ls {shlex.quote(str(file.parent))}")
    try:
        said, unset = _config(compose, files, "config", "--format", "json")
    except UsageError as exc:
        of_a_profile = _of_inactive_profile(compose, files, exc)
        if of_a_profile is None:
            raise
        raise of_a_profile from exc
    config: dict[str, Any] = json.loads(said)
    asked = {one["environment"] for kind in _CONTENTS for one in (config.get(kind) or {}).values() if _is_variable(one)}
    environment: dict[str, str] = {}
    if asked:
        lines, _ = _config(compose, files, "config", "--environment")
        pairs = (line.partition("=") for line in lines.splitlines())
        environment = {name: value for name, _, value in pairs if name in asked} | {
            name: os.environ[name] for name in asked if name in os.environ
        }
        unset = tuple(dict.fromkeys((*unset, *sorted(asked - environment.keys()))))
    return ReadCompose(config=config, files=tuple(files), unset=unset, environment=environment)


def _of_inactive_profile(compose: Sequence[str], files: Sequence[Path], said: UsageError) -> UsageError | None:
    """What to say where Compose misses a service that is there, of a profile that is not active."""
    absent = _UNDEFINED.search(said.what)
    of = inactive_services(compose, files).get(absent["name"]) if absent else None
    if absent is None or of is None:
        return None
    what = f"{said.what}; {absent['name']!r} belongs to the profile {' or '.join(of)}, which is not active"
    line = profiles_with(files[0].parent, of[0])
    return UsageError(what, at=said.at, hint=f"export {line}   # or that line in {files[0].parent / '.env'}")


def profiles_with(folder: Path, profile: str) -> str:
    """The setting that makes a profile active beside those that are: a new one takes the place of the old one."""
    active = [one.strip() for one in _variable(folder, "COMPOSE_PROFILES").split(",")]
    return f"COMPOSE_PROFILES={shlex.quote(','.join(dict.fromkeys(filter(None, (*active, profile)))))}"


def inactive_services(compose: Sequence[str], files: Sequence[Path]) -> dict[str, tuple[str, ...]]:
    """The profiles of every service that has some, whether or not they are active."""
    try:
        return _with_profiles(compose, files, "*")
    except UsageError:  # those of different profiles may exclude each other, as by one container's name
        listed, _ = _config(compose, files, "config", "--profiles")
        each = [_with_profiles(compose, files, profile) for profile in listed.split()]
        return {name: profiles for some in each for name, profiles in some.items()}


def _with_profiles(compose: Sequence[str], files: Sequence[Path], active: str) -> dict[str, tuple[str, ...]]:
    said, _ = _config(compose, files, "config", "--format", "json", profiles=active)
    services = json.loads(said).get("services") or {}
    return {name: tuple(one["profiles"]) for name, one in services.items() if one.get("profiles")}


_CONTENTS = ("configs", "secrets")


def _is_variable(one: Mapping[str, Any] | None) -> bool:
    return bool((one or {}).get("environment"))


def _config(
    compose: Sequence[str], files: Sequence[Path], *what: str, profiles: str = ""
) -> tuple[str, tuple[str, ...]]:
    """What Compose says, and the variables that it misses."""
    named = [part for file in files for part in ("--file", str(file))]
    only = ["--profile", profiles] if profiles else []
    hint = command_of(compose, files, "config")
    at = ", ".join(map(str, files))
    try:
        done = subprocess.run(
            [*compose, *named, *only, *what],
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=READ_WITHIN,
        )
    except subprocess.TimeoutExpired as exc:
        raise ClusterError(f"Compose did not read it within {READ_WITHIN:g} s", at=at, hint=hint) from exc
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if "level=warning" not in line]
        last = lines[-1] if lines else "no output"
        raise UsageError(f"Compose can't read it: {last}", at=at, hint=_way_out(last, files, hint))
    return done.stdout, tuple(dict.fromkeys(_UNSET.findall(done.stderr)))


def _way_out(said: str, files: Sequence[Path], hint: str) -> str:
    """Of what Compose said last: a file of variables that is not there, variables that must be set; else `hint`."""
    missing = _NO_ENV_FILE.search(said)
    variables = Path(missing["path"]) if missing else files[0].parent / ".env"
    copied = copy_example(variables)
    if copied:
        return f"{copied}   # then: {hint}"
    if missing:
        return f"touch {shlex.quote(str(variables))}   # with the variables that it is to hold; then: {hint}"
    required = _REQUIRED.search(said)
    if not required:
        return hint
    names = dict.fromkeys((required["name"], *_required_by(files)))
    line = "a line" if len(names) == 1 else "lines"
    return f"export {' '.join(f'{name}=...' for name in names)}   # or {line} in {variables}; then: {hint}"


def _required_by(files: Sequence[Path]) -> list[str]:
    """The variables that the files require and nothing sets: Compose names one, and the next once that is set."""
    texts = (file.read_text(encoding="utf-8", errors="replace") for file in files)
    lines = (line for text in texts for line in text.splitlines() if not line.lstrip().startswith("#"))
    found = dict.fromkeys(name for line in lines for name in _REQUIRES.findall(line))
    return [name for name in found if not _variable(files[0].parent, name)]


def copy_example(variables: Path) -> str:
    """The command that makes a file of variables from the example beside it; "" where it is there, or there is none."""
    examples = (variables.with_name(variables.name + suffix) for suffix in _EXAMPLES)
    example = next((one for one in examples if one.is_file()), None)
    if example is None or variables.exists():
        return ""
    return f"cp {shlex.quote(str(example))} {shlex.quote(str(variables))}"


def _variable(folder: Path, name: str) -> str:
    """A variable of Compose's own: of the environment, or else of the folder's .env; "" if none sets it."""
    return os.environ.get(name) or _from_dot_env(folder, name)


def _from_dot_env(folder: Path, name: str) -> str:
    """A variable that the folder's .env sets, as Compose would find it; "" if it sets none."""
    try:
        lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    pairs = (line.strip().removeprefix("export ").partition("=") for line in lines)
    found = [_unquoted(value.strip()) for key, _, value in pairs if key.strip() == name]
    return found[-1] if found else ""


def _unquoted(value: str) -> str:
    """What a line of .env gives its variable: without quotes, and without the remark after it."""
    quoted = _QUOTED.match(value)
    return quoted["value"] if quoted else _REMARK.sub("", value)
