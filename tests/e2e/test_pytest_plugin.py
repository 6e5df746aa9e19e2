"""The pytest plugin on real clusters: green where users keep their state, red with the finding where they don't."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab.machine.setup import Toolbox
from lab.record import ReadRecord
from lab.run.judge import judge_run
from tests.documents import DOCS, shown_file
from tests.e2e.own_apps import DJANGO

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.judges_time,
    pytest.mark.usefixtures("django_images"),
    pytest.mark.xdist_group("plugin"),  # whose clusters wait for each other, over all processes
]

RED = """
import pytest

pytestmark = pytest.mark.lab(image="shop:v1-memory", zones=3, replicas=3)


def test_an_upgrade_keeps_every_user(lab):
    with lab.traffic(users=10, think=0.1):
        lab.roll("shop:v2-memory", batch=3)
"""


def run(folder: Path, toolbox: Toolbox) -> tuple[int, str, dict[str, list[str]]]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--lab-seed", "3", "--lab-ui", "--junitxml=out.xml"],
        cwd=folder,
        env={**os.environ, "REDIS_IMAGE": toolbox.images.tag("redis")},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    told: dict[str, list[str]] = {}
    for one in ElementTree.parse(folder / "out.xml").iter("property"):  # noqa: S314 -- pytest wrote it just now
        told.setdefault(one.attrib["name"], []).append(one.attrib["value"])
    return done.returncode, done.stdout + done.stderr, told


@pytest.mark.prove
def test_what_the_page_shows_holds_and_sessions_in_memory_do_not(toolbox: Toolbox, readme_files: Path) -> None:
    """Two tests on one cluster of somebody's own app, a third on a cluster of its own: two green, the last red."""
    (readme_files / "lab.yaml").unlink()
    (readme_files / "test_deploy.py").write_text(shown_file(DOCS / "how-to" / "pytest.md", "test_deploy.py"))
    (readme_files / "test_red.py").write_text(RED)
    (readme_files / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")
    assert (readme_files / "compose.yaml").read_text() == (DJANGO / "compose.yaml").read_text()
    code, said, told = run(readme_files, toolbox)
    assert "2 passed" in said, said
    assert "1 failed" in said, said
    assert code == pytest.ExitCode.TESTS_FAILED
    assert told["lab.verdict"] == ["held", "held", "broken"]
    assert len(set(told["lab.project"])) == 2
    assert "BROKEN logged_in" in said
    assert len(set(re.findall(r"lab:   page (http://127\.0\.0\.1:\d+)", said))) == 3  # one for each run
    assert "forced logout" in said
    assert "lab/session.py" not in said  # no traceback of the lab's
    strikes = [judge_run(ReadRecord(Path(folder))).judgement.evidence.strikes_that_hit for folder in told["lab.record"]]
    assert strikes == [0, 1, 0]
    for project in set(told["lab.project"]):
        assert not toolbox.engine.networks(filters={"label": f"lab.project={project}"})
        assert not toolbox.engine.containers(all=True, filters={"label": f"lab.project={project}"})
