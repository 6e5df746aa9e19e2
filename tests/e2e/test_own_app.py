"""Somebody else's app under the lab: their image, their compose file, nothing of the lab's inside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lab.machine.setup import Toolbox
from lab.model import Kind
from tests.e2e.own_apps import DJANGO
from tests.e2e.runs import ROOT, Ended, first_tries_failed, is_gone, lab

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time, pytest.mark.usefixtures("django_images")]


def run(toolbox: Toolbox, scenario: Path, *argv: str) -> Ended:
    images = {"REDIS_IMAGE": toolbox.images.tag("redis"), "NGINX_IMAGE": toolbox.images.tag("nginx")}
    return lab("run", str(scenario), *argv, **images)


def test_what_the_readme_shows_holds_through_an_upgrade(toolbox: Toolbox, readme_files: Path) -> None:
    """v1 rolls to v2 under users of the admin site: nobody is logged out, loses a note, or needs a second try."""
    ended = run(toolbox, readme_files / "lab.yaml", "--seed", "3")
    assert ended.code == 0, ended.out + ended.err
    assert "HELD   20 of 20 users kept their state through" in ended.out
    assert first_tries_failed(ended.history()) == []
    history = ended.history()
    assert {one.tries[0].release for one in history} >= {"v1", "v2"}
    assert sum(one.kind is Kind.STATE for one in history) >= 100
    assert is_gone(toolbox, ended.project)


@pytest.mark.prove
def test_sessions_in_the_process_turn_it_red_by_name(toolbox: Toolbox, readme_files: Path) -> None:
    """The same site with sessions in each process breaks `logged_in`, and keeps every note that Redis has."""
    scenario = readme_files / "lab.yaml"
    scenario.write_text(re.sub(r'"(django-notes:v\d)"', r'"\1-locmem"', scenario.read_text()))
    ended = run(toolbox, scenario, "--seed", "3")
    assert ended.code == 1, ended.out + ended.err
    broken = {one["promise"] for one in ended.verdict["promises"] if one["verdict"] == "broken"}
    assert broken == {"logged_in"}
    assert "likely: a session is taken by the replica alone that made it: each replica keeps them in its" in ended.out
    assert is_gone(toolbox, ended.project)


@pytest.mark.prove
def test_their_own_nginx_may_stay_in_front(toolbox: Toolbox, readme_files: Path) -> None:
    """Users come through the site's own nginx, which the lab's stands behind: an upgrade fails no first try."""
    for name in ("compose-front.yaml", "front.conf"):
        (readme_files / name).write_text((DJANGO / name).read_text())
    scenario = readme_files / "lab.yaml"
    own = "compose: compose-front.yaml\n  front: {service: front, port: 8088}"
    scenario.write_text(scenario.read_text().replace("compose: compose.yaml", own))
    ended = run(toolbox, scenario, "--seed", "3")
    assert ended.code == 0, ended.out + ended.err
    assert first_tries_failed(ended.history()) == []
    tries = [one.tries[0] for one in ended.history()]
    assert {one.release for one in tries} >= {"v1", "v2"}
    assert not any(one.edge for one in tries), "their nginx hides which slots were tried: this came past it"
    assert is_gone(toolbox, ended.project)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab as pip installs it: its wheel, laid out where no checkout is."""
    folder = tmp_path_factory.mktemp("installed")
    argv = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(argv, check=True, timeout=300)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


@pytest.mark.prove
def test_an_installed_lab_needs_no_checkout(toolbox: Toolbox, readme_files: Path, installed: Path) -> None:
    """From a team's own folder: the images are the very same, the record and the report are left there."""
    env = {**os.environ, "PYTHONPATH": str(installed), "REDIS_IMAGE": toolbox.images.tag("redis")}
    for name in ("LAB_SEED", "VIRTUAL_ENV"):
        env.pop(name, None)

    def say(*argv: str) -> subprocess.CompletedProcess[str]:
        argv = (sys.executable, *argv)
        return subprocess.run(argv, cwd=readme_files, env=env, check=False, capture_output=True, text=True, timeout=200)

    tags = (
        "from lab.machine.engine import connect; from lab.machine.places import find_places;"
        " from lab.machine.images import ImageShelf; import lab;"
        " print(lab.__file__, *ImageShelf(connect(), find_places().images).ids(), sep='\\n')"
    )
    where, *its = say("-c", tags).stdout.split()
    assert Path(where).is_relative_to(installed)
    assert its == list(toolbox.images.ids())
    ended = say("-m", "lab", "run", "lab.yaml", "--seed", "3")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    [report] = readme_files.glob("runs/*/report.html")
    assert "HELD" in report.read_text()
    assert not (installed / "runs").exists()


@pytest.mark.prove
def test_users_told_as_requests_hold_through_kills(toolbox: Toolbox) -> None:
    """Two replicas are killed without warning; their gates go with them, and nobody loses a note."""
    ended = run(toolbox, DJANGO / "steps.yaml", "--seed", "3")
    assert ended.code == 0, ended.out + ended.err
    assert " 2 kills" in ended.out
    assert is_gone(toolbox, ended.project)


def test_an_image_that_is_not_there_is_refused_before_anything_starts(toolbox: Toolbox, readme_files: Path) -> None:
    """With the way out."""
    scenario = readme_files / "lab.yaml"
    scenario.write_text(scenario.read_text().replace("django-notes:v2", "django-notes:nowhere"))
    ended = run(toolbox, scenario)
    assert ended.code == 2, ended.out + ended.err
    assert "docker build -t django-notes:nowhere" in ended.err
