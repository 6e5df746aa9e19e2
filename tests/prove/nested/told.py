"""What rows are made with, and what each of them shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from docker import APIClient

from lab.errors import LabFault
from lab.model import Value
from tests.prove.nested.nest import Kind, Nest, Ran, Say

LAB = "cd /cluster-lab && .venv/bin/lab"


class Bench(Value):
    """What rows are made with: this machine's engine, a pack of the lab, and images by kind."""

    engine: APIClient
    pack: Path
    image: Callable[[Kind], str]
    say: Say


class Told(Value):
    """What a row showed: the engine's name and what it can't do, by the doctor's words, and its runs."""

    engine: str
    impossible: tuple[str, ...]
    runs: tuple[str, ...]


def unpack(box: Nest, bench: Bench, *, user: str = "root", environment: Mapping[str, str] | None = None) -> None:
    """The lab in a container, from the pack alone: nothing else is there to fetch anything from."""
    box.put(bench.pack)
    box.must(f"cd / && tar xf {bench.pack.name} cluster-lab && chown -R {user}: cluster-lab")
    box.must(f"cd /cluster-lab && make setup LAB_PACK=/{bench.pack.name}", user=user, environment=environment)


def examine(
    box: Nest, env: str = "", *, user: str = "root", environment: Mapping[str, str] | None = None
) -> tuple[str, tuple[str, ...]]:
    """The engine's name, and what the doctor found it can't do. Raises LabFault where the doctor is not content."""
    doctor = f"{LAB.replace('.venv', env + ' .venv') if env else LAB} doctor"
    said = box.must(doctor, user=user, environment=environment)
    lines = said.splitlines()
    name = next(line.split("engine", 1)[1].strip() for line in lines if line.startswith("✓ engine"))
    impossible = [line.removeprefix("- ").split(" not possible")[0].strip() for line in lines if line.startswith("- ")]
    return name.partition(" (API")[0], tuple(impossible)


def must_hold(done: Ran, what: str) -> str:
    """The run's closing line. Raises LabFault where it did not hold."""
    if done.code:
        raise LabFault(f"{what} ended with {done.code}: {done.text[-900:]}")
    held = [line.strip() for line in done.text.splitlines() if "HELD" in line]
    return f"{what}: {held[-1] if held else done.last}"


def check(done: Ran, code: int, word: str) -> None:
    """Raise LabFault for a command that ended otherwise, or said something else."""
    if done.code != code or word not in done.text:
        raise LabFault(f"ended with {done.code}, not {code} and {word!r}: {done.text[-900:]}")
