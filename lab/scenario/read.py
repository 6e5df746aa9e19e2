"""Reads a scenario file: YAML in, values out, and every mistake told with its file, line and key path."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import yaml

from lab.errors import ScenarioError, UsageError
from lab.scenario.check import check_scenario
from lab.scenario.named_services import named_in_full, with_own_limits
from lab.scenario.renames import new_path, with_new_keys
from lab.scenario.spec import Scenario, StepSpec
from lab.scenario.target_spec import TargetSpec
from lab.scenario.yaml_paths import DuplicateKey, did_you_mean, keys_at, line_of, load_yaml, put_at, unknown_field

LARGEST_FILE = 256 * 1024
"""Bytes of a scenario file: `lab shrink` writes some thousand."""
LIBRARY = Path(__file__).resolve().parents[1] / "scenarios"


def find_scenario(named: str) -> Path:
    """The file of a scenario: a path, or the name of one that comes with the lab."""
    path = Path(named)
    if path.suffix in {".yaml", ".yml"} or _exists(path):
        return path
    known = sorted(one.stem for one in LIBRARY.glob("*.yaml"))
    if named not in known:
        meant = did_you_mean(named, known)
        hint = f"lab run {' | '.join(known)} | FILE.yaml"
        raise ScenarioError("no such scenario", at=named, hint=f"did you mean {meant}? {hint}" if meant else hint)
    return LIBRARY / f"{named}.yaml"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def read_scenario(
    path: Path, changes: Sequence[tuple[str, Any]] = (), *, notice: Callable[[str], None] = lambda _: None
) -> Scenario:
    """Read and check a scenario. Raises ScenarioError naming the file and the key path; nothing is ever guessed.

    `changes` are key paths and what is to stand there instead of what the file says. `notice` takes a line
    for each key that still works but has another name now.
    """
    text = _text_of(path)
    place = partial(_place, path, text, [new_path(key) for key, _ in changes])
    return scenario_of(_parse(text, path), path, place, changes, notice=notice)


def scenario_of(
    asked: Any,
    path: Path,
    place: Callable[[str], str],
    changes: Sequence[tuple[str, Any]] = (),
    *,
    notice: Callable[[str], None] = lambda _: None,
) -> Scenario:
    """The same from what a file holds, wherever it comes from: files that it names lie beside `path`.

    `place` tells where a key stands.
    """
    try:
        asked = with_new_keys(asked, lambda said: notice(f"{path}: {said}"))
        for key, value in changes:
            asked = put_at(asked, new_path(key, lambda said: notice(f"--set: {said}")), value)
    except UsageError as exc:
        raise ScenarioError(
            exc.what, at=exc.at if exc.at.startswith("--set") else place(exc.at), hint=exc.hint
        ) from exc
    try:
        scenario = msgspec.convert(asked, Scenario)
    except msgspec.ValidationError as exc:
        raise _misshapen(exc, place) from exc
    except (OverflowError, ValueError) as exc:
        raise ScenarioError(f"contains an invalid value: {exc}", at=place(""), hint="a smaller number") from exc
    scenario = with_own_limits(named_in_full(scenario))
    check_scenario(scenario, place)
    return _with_own_files(scenario, _Files(path, place))


def _text_of(path: Path) -> str:
    """The file's text. Raises ScenarioError; reads no more than a scenario may have, whatever is there."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise ScenarioError(
                f"is larger than {LARGEST_FILE} bytes", at=str(path), hint="a scenario has some hundred"
            )
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ScenarioError("the file is not UTF-8 text", at=str(path), hint=f"file {path}") from exc
    except OSError as exc:
        raise ScenarioError(f"can't be read: {exc.strerror}", at=str(path), hint=f"ls -l {path}") from exc
    except ValueError as exc:
        raise ScenarioError(f"can't be read: {exc}", at=ascii(str(path)), hint="a file's name") from exc


def _parse(text: str, path: Path) -> Any:
    try:
        return load_yaml(text)
    except DuplicateKey as exc:
        raise ScenarioError(exc.problem or "a key stands twice", at=str(path), hint="keep one of them") from exc
    except yaml.YAMLError as exc:
        raise ScenarioError(f"is not YAML: {_where_yaml_broke(exc)}", at=str(path), hint="fix that line") from exc
    except ValueError as exc:
        hint = "put it in quotes if it is meant as text"
        raise ScenarioError(f"contains an invalid value: {exc}", at=str(path), hint=hint) from exc
    except RecursionError as exc:
        raise ScenarioError("is nested too deeply", at=str(path), hint="no alias (*name) within its own &name") from exc


class _Files:
    """The files that a scenario names: they lie beside it, and from here on they are named in full."""

    def __init__(self, path: Path, place: Callable[[str], str]) -> None:
        self._path, self._place = path, place

    def file(self, named: str, key: str) -> str:
        """The whole name of a file. Raises ScenarioError if it is none."""
        return _beside(self._path, named, self._place(key))

    def program(self, argv: Sequence[str], key: str) -> tuple[str, ...]:
        """A command whose program, where its name has a slash, is called by its whole name.

        A link is not followed: what it does may depend on the name by which it is called.
        """
        if "/" not in argv[0]:
            return tuple(argv)
        found = self.file(argv[0], f"{key}[0]")
        if not os.access(found, os.X_OK):
            hint = f"chmod +x {found}"
            raise ScenarioError(f"{found} may not be executed", at=self._place(f"{key}[0]"), hint=hint)
        return (str(self._path.parent.absolute() / argv[0]), *argv[1:])


def _with_own_files(scenario: Scenario, files: _Files) -> Scenario:
    cluster, users, target = scenario.cluster, scenario.users, scenario.target
    if cluster.compose is not None:
        named = tuple(files.file(one, "cluster.compose") for one in cluster.compose_files)
        cluster = msgspec.structs.replace(cluster, compose=named if len(named) > 1 else named[0])
    if users.journey is not None:
        file, _, name = users.journey.rpartition(":")
        users = msgspec.structs.replace(users, journey=f"{files.file(file, 'users.journey')}:{name}")
    if target is not None:
        target = _with_files_of_target(target, files)
    script = None if scenario.script is None else files.file(scenario.script, "script")
    steps = tuple(_with_program(step, f"steps[{number}]", files) for number, step in enumerate(scenario.steps))
    return msgspec.structs.replace(scenario, cluster=cluster, target=target, users=users, script=script, steps=steps)


def _with_files_of_target(target: TargetSpec, files: _Files) -> TargetSpec:
    replace, evidence = msgspec.structs.replace, target.evidence
    if target.tls is not None and target.tls.ca is not None:
        target = replace(target, tls=replace(target.tls, ca=files.file(target.tls.ca, "target.tls.ca")))
    if evidence is not None and evidence.command:
        command = files.program(evidence.command, "target.evidence.command")
        target = replace(target, evidence=replace(evidence, command=command))
    return target


def _with_program(step: StepSpec, key: str, files: _Files) -> StepSpec:
    """A step whose commands, its own and those of the steps within it, are programs named in full."""
    replace = msgspec.structs.replace

    def inner(steps: Sequence[StepSpec], at: str) -> tuple[StepSpec, ...]:
        return tuple(_with_program(one, f"{key}.{at}[{number}]", files) for number, one in enumerate(steps))

    if step.command is not None:
        run = files.program(step.command.run, f"{key}.command.run")
        return replace(step, command=replace(step.command, run=run))
    if step.repeat is not None:
        return replace(step, repeat=replace(step.repeat, steps=inner(step.repeat.steps, "repeat.steps")))
    return step if step.together is None else replace(step, together=inner(step.together, "together"))


def _beside(path: Path, named: str, at: str) -> str:
    try:
        found = (path.parent / named).resolve()
        is_there, is_folder = found.is_file(), found.is_dir()
    except (OSError, ValueError) as exc:  # a name that no file can have
        raise ScenarioError("is not the name of a file", at=at, hint="a file beside this one") from exc
    if not is_there:
        what = f"{named} is a folder, not a file" if is_folder else f"there is no file {named}"
        raise ScenarioError(what, at=at, hint=f"ls {found.parent}")
    return str(found)


def _misshapen(exc: msgspec.ValidationError, place: Callable[[str], str]) -> ScenarioError:
    """What msgspec says, with the line and, for an unknown key, the one that was meant."""
    what, _, key_path = str(exc).partition(" - at ")
    if key_path.startswith("`key` in "):
        what, key_path = f"{what} as a key: put it in quotes", key_path.removeprefix("`key` in ")
    key = key_path.strip("`").removeprefix("$").lstrip(".")
    unknown = unknown_field(what)
    hint = f"compare with {LIBRARY / 'demo.yaml'}"
    if unknown is not None:
        meant = did_you_mean(unknown, keys_at(Scenario, key))
        key = f"{key}.{unknown}".lstrip(".")
        what = f"unknown key {unknown!r} here"
        hint = f"did you mean {meant!r}?" if meant else hint
    elif what.startswith("Expected `str`"):
        hint = "put it in quotes"
    return ScenarioError(what, at=place(key), hint=hint)


def _place(path: Path, text: str, changed: Sequence[str], key: str) -> str:
    """Where a key stands: on the command line, or in which line of the file."""
    if any(key == one or key.startswith((f"{one}.", f"{one}[", f"{one}:")) for one in changed):
        return f"--set {key}"
    line = line_of(text, key)
    return f"{path}{'' if line is None else f', line {line}'}: {key or 'the file as a whole'}"


def _where_yaml_broke(exc: yaml.YAMLError) -> str:
    mark = getattr(exc, "problem_mark", None)
    problem = getattr(exc, "problem", None) or str(exc)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark is not None else problem
