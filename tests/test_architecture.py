"""The house rules that a machine can check: imports point down, and each outside library has one owner."""

from __future__ import annotations

import ast
import math
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parents[1] / "lab"
FLOORS = {
    **dict.fromkeys(("__init__", "collection"), 0.0),
    "errors": 0.0,
    "clock": 0.1,
    "model": 0.2,
    "retry": 0.3,
    "record": 0.4,  # the words, in their own order
    "machine": 0.6,
    **dict.fromkeys(("cluster", "balancer", "state", "oracle"), 1),
    **dict.fromkeys(("deploy", "chaos", "users", "scale"), 2),
    "workers": 2.2,
    "report": 2.4,
    "web": 2.6,
    "scenario": 3.0,
    "backends": 3.2,
    "testing": 3.3,
    "run": 3.4,
    "console": 3.6,
    "operate": 3.8,
    "experiments": 4.0,
    "session": 4.2,
    **dict.fromkeys(("lessons", "pytest_plugin"), 4.4),
    "cli": 5,
    "__main__": 6,
}
"""Every room and module of `lab/`, from the ground up."""
OWNERS = {
    "docker": ("lab/machine/", "lab/cluster/"),
    "subprocess": (
        "lab/machine/",
        "lab/cluster/",
        "lab/backends/peer.py",
        "lab/run/deployer_processes.py",
        "lab/run/command_process.py",
        "lab/run/guardian.py",
        "lab/testing/in_process/workers.py",
    ),
    "yaml": ("lab/scenario/", "lab/machine/images.py", "lab/cluster/", "lab/experiments/repeat.py"),
    "tenacity": ("lab/retry.py",),
    "time": ("lab/clock.py",),
    "requests": ("lab/balancer/nginx.py", "lab/machine/engine.py"),
    "urllib3": ("lab/machine/engine.py",),
    "sqlite3": ("lab/state/file.py",),
    "redis": ("lab/state/redis.py",),
    "greenlet": ("lab/users/fiber.py",),
    "httptools": ("lab/users/wire.py",),
    "regex": ("lab/users/page.py", "lab/users/steps.py"),
    "rich": ("lab/console/terminal.py",),
    "jinja2": ("lab/report/html.py",),
    "click": ("lab/cli/",),
}
BACKENDS = (
    "lab.cluster.bring_up",
    "lab.cluster.compose",
    "lab.cluster.engine_harm",
    "lab.cluster.events",
    "lab.cluster.gated",
    "lab.cluster.store_look",
    "lab.cluster.swarm_change",
    "lab.cluster.swarm_crowd",
    "lab.cluster.swarm_events",
    "lab.cluster.swarm_harm",
    "lab.cluster.swarm_look",
    "lab.cluster.swarm_stack",
    "lab.cluster.swarm_sweep",
    "lab.cluster.swarm_tasks",
    "lab.cluster.tear_down",
    "lab.balancer.by_name",
    "lab.balancer.nginx",
    "lab.state.file",
    "lab.state.redis",
)
"""Modules that know one backend; `lab/backends/` alone names them, and they each other within their room."""
PARTICIPANTS = re.compile(r"lessons/\d\d-")
"""What lies in a lesson's folder is a shop's, broken and mended, and runs in its image alone."""
MODULES = [path for path in sorted(LAB.rglob("*.py")) if not PARTICIPANTS.search(path.as_posix())]


@cache
def imports(path: Path) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return frozenset(found)


def package(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "lab" and len(parts) > 1 else None


def wrong_imports(path: Path) -> list[str]:
    """The imports of a module that point up or sideways, or at a room that there is none of."""
    own = path.relative_to(LAB).parts[0].removesuffix(".py")
    others = {module: package(module) for module in imports(path) if module not in {"lab", "lab.record"}}
    return [
        f"{path.relative_to(LAB)} imports {module}"
        for module, other in others.items()
        if own != "__init__" and other not in {None, own} and FLOORS.get(other or "", math.inf) >= FLOORS[own]
    ]


def test_imports_point_strictly_down() -> None:
    """A package imports itself and lower floors, never a sibling; actors know ports by protocol modules below them."""
    assert [wrong for path in MODULES for wrong in wrong_imports(path)] == []


def test_each_outside_library_has_one_owner() -> None:
    """Swapping one means changing one place."""
    names = {path: path.relative_to(LAB.parent).as_posix() for path in MODULES}
    assert [
        f"{name} imports {library}"
        for path, name in names.items()
        for library, owners in OWNERS.items()
        if not name.startswith(owners)
        and any(module == library or module.startswith(f"{library}.") for module in imports(path))
    ] == []


def test_no_test_file_imports_another() -> None:
    """What tests share lives in modules that are no tests: else to run one file, or to move it, needs the other."""
    files = Path(__file__).parent.rglob("*.py")
    assert [
        f"{path.relative_to(LAB.parent)} imports {module}"
        for path in files
        if "apps" not in path.parts
        for module in imports(path)
        if module.startswith("tests.") and any(part.startswith("test_") for part in module.split(".")[:-1])
    ] == []


def test_every_module_has_a_floor() -> None:
    """A room that this file does not know is held to nothing."""
    rooms = {path.relative_to(LAB).parts[0].removesuffix(".py") for path in MODULES}
    assert rooms == set(FLOORS)


def test_backends_are_named_in_one_room() -> None:
    """A second backend is one new file in `lab/backends/`; nobody else knows of it."""
    for path in MODULES:
        room = path.relative_to(LAB).parts[0]
        for module in imports(path):
            if module.startswith(BACKENDS):
                assert room in {"backends", module.split(".")[1]}, f"{path.relative_to(LAB)} names {module}"


@pytest.mark.parametrize(
    "module", ["lab.oracle", "lab.deploy.plan", "lab.deploy.advance", "lab.deploy.gate", "lab.chaos.schedule"]
)
def test_what_decides_loads_without_docker_or_http(module: str) -> None:
    """A verdict, a plan and a schedule can be made anywhere."""
    heavy = "{'docker', 'requests', 'httptools', 'rich', 'uvloop'}"
    code = f"import sys, {module}; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_loads_nothing_heavy() -> None:
    """`lab --help` answers before any library that a verb needs is imported."""
    code = (
        "import sys, lab.cli\n"
        "assert lab.cli.run_command_line(['--help']) == 0\n"
        "heavy = {'docker', 'requests', 'rich', 'yaml', 'msgspec', 'tenacity', 'uvloop', 'psutil'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_differs_between_systems_is_asked_in_one_place() -> None:
    """Whoever brings the lab to another system reads one module. What is asked of a container is Linux everywhere."""
    files = r"(?:Path|open|readlink)\(f?\"/proc"
    asks = re.compile(rf"^import platform|sys\.platform|psutil\.LINUX|{files}|os\.uname|geteuid", re.MULTILINE)
    host = LAB / "machine" / "host.py"
    assert asks.search(host.read_text())
    assert [path.name for path in MODULES if path != host and asks.search(path.read_text())] == []


def test_no_host_of_a_registry_is_written_down() -> None:
    """Where packages come from is the machine's setting, not the repository's."""
    for path in LAB.parent.rglob("*"):
        if path.suffix in {".py", ".sh", ".toml", ".yaml", ".txt", ".md"} and not {".venv", ".lab"} & set(path.parts):
            text = path.read_text(errors="replace")
            assert "pypi" + ".org/simple" not in text, path
            assert "://deb" + ".debian.org" not in text, path


LARGER = {
    "backends/docker.py": "puts every part of a cluster on Docker together, and nothing else may name them",
    "deploy/deployer.py": "one loop: what may happen between two of its acts is read in one place",
    "deploy/deployer.py Deployer": "the same",
    "operate/watching.py watch": "the keywords of `lab.watch`, passed on",
    "oracle/service.py report": "one report of all that was counted",
    "oracle/stops.py find_cut": "one pass over failed tries, in the order of its docstring",
    "oracle/verdict.py gather": "the evidence from its many sources, field by field",
    "pytest_plugin.py": "every hook, fixture and marker that pytest finds by its module",
    "report/document.py build_report": "one report, field by field",
    "run/conductor.py": "the phases of a run, in their order",
    "run/conductor.py Conductor": "the same",
    "run/judge.py judge_run": "one judged run, from its sources",
    "scenario/spec.py": "the keys of a scenario file, as the reference shows them",
    "session.py": "what the fixtures of the plugin do, one method for each",
    "users/device.py": "a device's request from its try to its answer, where speed forbids more calls",
    "users/device.py Device": "the same",
    "users/device.py do": "the same",
    "users/driven.py": "what a journey may do while its user runs",
    "users/driven.py Driven": "what a journey may do while its user runs",
    "users/driven.py _do": "one action of a journey, with all ways in which it may end",
}
"""What is longer than 400 lines (a module), 300 (a class) or 50 (a function), and why it is not cut up."""


def test_what_is_larger_than_usual_has_a_reason() -> None:
    """And a reason that is not needed any more is dropped."""
    found: set[str] = set()
    for path in LAB.rglob("*.py"):
        text, name = path.read_text(), str(path.relative_to(LAB))
        if len(text.splitlines()) > 400:
            found.add(name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                most = 300 if isinstance(node, ast.ClassDef) else 50
                lines = (node.end_lineno or 0) - node.lineno + 1
                found |= {f"{name} {node.name}"} if lines > most else set()
    assert found == set(LARGER)
