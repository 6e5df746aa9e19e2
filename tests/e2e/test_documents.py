"""The tutorial as a newcomer types it, and the proxies of the how-to page, on real containers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.machine.setup import Toolbox
from tests.building import build_image
from tests.documents import DOCS, TUTORIAL, blocks_of, shown_file

pytestmark = [pytest.mark.e2e, pytest.mark.judges_time]

PROXIES = DOCS / "how-to" / "proxies.md"
DOCKER = """\
#!{python}
import argparse, sys
from docker import from_env
asked = argparse.ArgumentParser()
asked.add_argument("verb", choices=["build"])
asked.add_argument("-t", dest="tag", required=True)
asked.add_argument("folder")
asked.add_argument("--build-arg", action="append", default=[])
given = asked.parse_args()
extra = dict(one.split("=", 1) for one in given.build_arg)
from_env().images.build(path=given.folder, tag=given.tag, rm=True, buildargs={{"BASE": "{base}", **extra}})
"""
"""`docker build` for a machine without Docker's command and without a registry: the base is the lab's own."""


@pytest.fixture
def newcomer(toolbox: Toolbox, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """An empty folder, and the environment of somebody whose `lab` and `docker` are on the PATH."""
    tools, folder = tmp_path / "bin", tmp_path / "notes"
    tools.mkdir()
    folder.mkdir()
    (tools / "docker").write_text(DOCKER.format(python=sys.executable, base=toolbox.images.base_tag))
    (tools / "docker").chmod(0o755)
    path = os.pathsep.join((str(tools), str(Path(sys.executable).parent), os.environ["PATH"]))
    env = {**os.environ, "PATH": path, "REDIS_IMAGE": toolbox.images.tag("redis"), "LAB_SEED": "3"}
    return folder, env


def type_in(line: str, folder: Path, env: dict[str, str]) -> tuple[int, str]:
    """One line of a page: what it ends with, and what it says."""
    argv = ["sh", "-c", line]
    done = subprocess.run(argv, cwd=folder, env=env, check=False, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.prove
def test_the_tutorial_ends_as_it_says(newcomer: tuple[Path, dict[str, str]]) -> None:
    """Every file and command in order: red as the page tells it, cured, green through an upgrade, and through kills."""
    folder, env = newcomer
    said = dict[str, str]()
    for block in blocks_of(TUTORIAL):
        if block.name:
            (folder / block.name).write_text(block.text)
        for line in block.text.splitlines() if block.language == "sh" else ():
            expected = int((re.search(r"# exit code (\d+)", line) or ["", "0"])[1])
            code, said[f"{line} {block.line}"] = type_in(line, folder, env)
            assert code == expected, f"{block.at}: {line}\n{said}"
    red, green, kills = [text for line, text in said.items() if "exit code" in line]
    assert re.search(r"BROKEN state_kept: \d+ of 20 users lost state .*also logged_in", red)
    assert re.search(r"HELD   20 of 20 users kept their state through \d+ replacements", green)
    assert re.search(r"HELD   20 of 20 users kept their state through \d+ replacements and 2 kills", kills)


@pytest.mark.parametrize(("proxy", "settings"), [("haproxy", "haproxy.cfg"), ("caddy", "Caddyfile")])
@pytest.mark.prove
def test_a_proxy_as_the_page_shows_it_fails_no_first_try(
    toolbox: Toolbox, newcomer: tuple[Path, dict[str, str]], proxy: str, settings: str
) -> None:
    """From Debian's packages, in front of the tutorial's app, through an upgrade."""
    folder, env = newcomer
    recipe = f"FROM {toolbox.images.base_tag}\nRUN apt-get update -qq && apt-get install -y -qq {proxy} >/dev/null\n"
    tag = f"lab-docs-{proxy}:1"
    build_image(toolbox.engine, tag, recipe=recipe)
    image = f"notes-{proxy}"  # the tutorial's test builds `notes` at the same time, broken as the page begins
    for name in ("app.py", "Dockerfile", "compose.yaml", "journey.py"):
        (folder / name).write_text(shown_file(TUTORIAL, name))
    for name in (settings, f"compose-{proxy}.yaml"):
        (folder / name).write_text(shown_file(PROXIES, name).replace("notes:", f"{image}:"))
    for line in (f"docker build -t {image}:v1 .", f"docker build -t {image}:next --build-arg VERSION=next ."):
        assert type_in(line, folder, env)[0] == 0
    front = f"front={{service: {proxy}, port: 8088}}"
    upgrade = shown_file(TUTORIAL, "kills.yaml").replace("notes:next", "notes:v1")
    upgrade = upgrade.replace("Replicas are killed while users write", f"An upgrade behind {proxy}")
    upgrade = re.sub(r"  - monkey: .*", '  - roll: {to: "notes:next"}', upgrade)
    upgrade = upgrade.replace("strikes_that_hit: 2", "users_served_by_new: 20").replace("notes:", f"{image}:")
    (folder / "lab.yaml").write_text(upgrade)
    changes = f"--set 'cluster.compose=compose-{proxy}.yaml' --set 'cluster.{front}' --set promises.serving_at_least=1"
    code, said = type_in(f"lab run lab.yaml {changes}", folder, {**env, f"{proxy.upper()}_IMAGE": tag})
    assert code == 0, said
    assert "0 actions needed a retry (max 1 try), 0 failed" in said, said
