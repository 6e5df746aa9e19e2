"""Runs of the whole lab, as a person starts them, and what they left in their records."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.machine.setup import Toolbox
from lab.model import Operation
from lab.record import AnyEvent, ReadRecord
from lab.scenario.spec import Scenario

LAB = [sys.executable, "-m", "lab"]
ROOT = Path(__file__).resolve().parents[2]

SMALL = """
lab: 1
name: small
title: "a small run"
cluster: {release: "shop:v1", zones: {a: 1, b: 1, c: 1}}
users: {count: 12, on_two_devices: 4, think: 0.1, tries: 3}
promises: {serving_at_least: 2}
steps:
  - settle: {for: 2}
enough: {operations: 100, checks: 100}
time_limit: 120
"""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run that is over."""

    code: int
    out: str
    err: str

    @property
    def folder(self) -> Path:
        found = re.search(r"run (\S+), seed", self.out)
        assert found, self.out + self.err
        return ROOT / "runs" / found[1]

    @property
    def project(self) -> str:
        return f"lab-{self.folder.name}"

    @property
    def verdict(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "verdict.json").read_text()))

    def history(self) -> list[Operation]:
        return list(ReadRecord(self.folder).history())

    def events(self) -> list[AnyEvent]:
        return list(ReadRecord(self.folder).events())


@contextmanager
def start(*argv: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The lab as a process of its own; ended, as by Ctrl-C, where the block leaves it running."""
    with subprocess.Popen(
        [*LAB, *argv],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=60)


def wait(process: subprocess.Popen[str], within: float = 200) -> Ended:
    out, err = process.communicate(timeout=within)
    return Ended(code=process.returncode, out=out, err=err)


def lab(*argv: str, **environment: str) -> Ended:
    """Run the lab to its end."""
    with start(*argv, **environment) as process:
        return wait(process)


def first_tries_failed(history: Iterable[Operation]) -> list[str]:
    """The results of first tries that were no answer, or one that blames the server."""
    firsts = [operation.tries[0].result for operation in history]
    return [result for result in firsts if not result.isdigit() or result >= "500"]


def is_gone(toolbox: Toolbox, project: str) -> bool:
    """Whether no container, network or volume of a project is left on the engine."""
    only, engine = {"label": f"lab.project={project}"}, toolbox.engine
    return not (
        engine.containers(all=True, filters=only)
        or engine.networks(filters=only)
        or engine.volumes(filters=only)["Volumes"]
    )


def scenario(tmp_path: Path, **changes: str) -> str:
    """A small scenario with some of its lines changed; each change names a key at the top level."""
    text = SMALL
    for key, value in changes.items():
        pattern = re.compile(rf"^{key}:.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
        assert key in Scenario.__struct_fields__, key
        line = f"{key}: {value}\n"
        text = pattern.sub(line, text) if pattern.search(text) else text + line
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    return str(path)
