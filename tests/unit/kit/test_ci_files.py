"""The action and the GitLab template: their shell steps, run by bash with a lab that notes what it is asked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
LAB = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$1 $2" in
  "pack --list") echo cluster-lab/base:1; echo cluster-lab/nginx:2 ;;
  pack*) echo packed >"$2" ;;
  run*) mkdir -p runs/one; echo '{}' >runs/one/verdict.json; exit "${ENDS:-0}" ;;
  report*) echo '<testsuite/>' >"$2/junit.xml" ;;
esac
"""
PYTHON = """#!/bin/sh
echo "python3 $*" >>"$CALLS"
mkdir -p "$3/bin"
cp "$STUBS/lab" "$3/bin/lab"
printf '#!/bin/sh\\necho "pip $*" >>"$CALLS"\\n' >"$3/bin/python"
cp "$3/bin/python" "$3/bin/pip"
echo "PATH=$3/bin:\\$PATH" >"$3/bin/activate"
chmod +x "$3"/bin/*
"""


class Job:
    """A job's folder, with stubs in front of everything else on its path."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.stubs = folder / "work", folder / "stubs"
        self.folder.mkdir()
        self.stubs.mkdir()
        for name, text in (("lab", LAB), ("python3", PYTHON)):
            (self.stubs / name).write_text(text)
            (self.stubs / name).chmod(0o755)
        self.files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_PATH", "CALLS")}

    def bash(self, script: str, **environment: str) -> int:
        own = {name: str(path) for name, path in self.files.items()}
        paths = [*self.said("GITHUB_PATH"), str(self.stubs), os.environ["PATH"]]
        env = {**own, "STUBS": str(self.stubs), "PATH": ":".join(paths), **environment}
        # As a runner calls it.
        argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        return subprocess.run(argv, cwd=self.folder, env=env, check=False, timeout=60).returncode

    def said(self, name: str) -> list[str]:
        return self.files[name].read_text().splitlines() if self.files[name].exists() else []

    @property
    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.said("GITHUB_OUTPUT"))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.fixture(scope="module")
def steps() -> Mapping[str, Mapping[str, Any]]:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    assert action["runs"]["using"] == "composite"
    return {one["id"]: one for one in action["runs"]["steps"] if "run" in one}


def test_the_action_installs_the_lab_and_names_its_images(job: Job, steps: Mapping[str, Any], tmp_path: Path) -> None:
    """The cache's key is that of the images; what follows finds `lab`."""
    assert job.bash(steps["install"]["run"], LAB_SOURCES=str(ROOT), LAB_HOME=str(tmp_path / "home")) == 0
    assert job.outputs["key"].startswith("cluster-lab-")
    assert job.outputs["file"] == str(tmp_path / "home" / "images.tar")
    [pip] = [line for line in job.said("CALLS") if line.startswith("pip ")]
    assert pip.endswith(str(ROOT))
    assert "--constraint" in pip
    job.files["CALLS"].unlink()
    assert job.bash("lab clean") == 0
    assert job.said("CALLS") == ["clean"]


def test_images_are_packed_once_and_taken_from_the_cache_then(job: Job, steps: Mapping[str, Any]) -> None:
    """`lab setup` makes whatever the cache lacks, each time."""
    file = job.folder / "images.tar"
    assert job.bash(steps["images"]["run"], LAB_IMAGES=str(file)) == 0
    assert job.said("CALLS") == ["setup", f"pack {file}"]
    job.files["CALLS"].unlink()
    assert job.bash(steps["images"]["run"], LAB_IMAGES=str(file)) == 0
    assert job.said("CALLS") == [f"unpack {file}", "setup"]


@pytest.mark.parametrize("ends", [0, 1, 3, 4])
def test_the_action_ends_as_the_run_does(job: Job, steps: Mapping[str, Any], ends: int) -> None:
    """Whatever it ended with, its reports are made before."""
    given = {"LAB_SCENARIOS": "lab.yaml other.yaml", "LAB_MORE": "--seed 7", "ENDS": str(ends)}
    assert job.bash(steps["run"]["run"], **given) == ends
    assert job.outputs == {"runs": str(job.folder / "runs"), "code": str(ends)}
    assert job.said("CALLS") == ["run lab.yaml other.yaml --seed 7", "report runs/one/ --junit"]


def test_the_actions_steps_know_each_other(steps: Mapping[str, Any]) -> None:
    """An output that no step writes would be empty, and nobody would tell."""
    text = (ROOT / "action.yml").read_text()
    for step, names in {"install": ("key", "file"), "run": ("runs", "code")}.items():
        for name in names:
            assert f"steps.{step}.outputs.{name}" in text
            assert f'echo "{name}=' in steps[step]["run"]


def test_the_gitlab_job_says_where_doors_are_and_caches_images(job: Job) -> None:
    """Its lines one after another, as its shell gets them; a second job builds nothing."""
    [template] = yaml.safe_load((ROOT / "docs" / "how-to" / "gitlab-dind.yml").read_text()).values()
    variables = {key: str(value) for key, value in template["variables"].items()}
    assert variables["DOCKER_HOST"].startswith("tcp://")
    assert variables["LAB_BIND"]
    script = "\n".join([*template["before_script"], *template["script"]])
    after = "\n".join(template["after_script"])
    assert job.bash(script, **variables, ENDS="1") == 1, "a broken promise fails the job"
    assert job.bash(after, **variables) == 0
    calls = [line for line in job.said("CALLS") if not line.startswith(("python3", "pip"))]
    images = variables["LAB_IMAGES"]
    assert [one for one in calls if one != "pack --list"] == [
        "setup", f"pack {images}", "run lab.yaml", "report runs/one/ --junit --markdown",
    ]  # fmt: skip
    job.files["CALLS"].unlink()
    assert job.bash(script, **variables) == 0
    calls = [line for line in job.said("CALLS") if not line.startswith(("python3", "pip"))]
    assert [one for one in calls if one != "pack --list"] == [f"unpack {images}", "setup", "run lab.yaml"]
