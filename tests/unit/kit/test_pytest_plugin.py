"""The pytest plugin where no Docker is needed: it is light, says what it lacks, and tells findings as findings."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree

import pytest

from lab import session as standing
from lab.errors import UsageError
from lab.machine import engine, locks
from lab.retry import wait_until
from lab.session import cluster_of, seconds

pytest_plugins = ("pytester",)

INI = "[pytest]\naddopts = --strict-markers\nfilterwarnings =\n"
ALREADY = "ignore::pytest.PytestAssertRewriteWarning"
"""Where pytest runs within this pytest, the lab is imported already."""
USES_LAB = "def test_it(lab): raise AssertionError('no cluster should be up')"


@pytest.fixture(autouse=True)
def no_docker(monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> None:
    """No engine answers, no CI, and warnings are errors in whatever runs here."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeini(f"{INI}    error\n    {ALREADY}\n")


def test_importing_the_plugin_loads_nothing_heavy() -> None:
    """Every pytest of the environment loads it."""
    heavy = "{'docker', 'requests', 'rich', 'yaml', 'msgspec', 'tenacity', 'asyncio', 'sqlite3'}"
    code = (
        "import sys, pytest; before = set(sys.modules)\n"
        "import lab.pytest_plugin\n"
        f"sys.exit(', '.join({heavy} & (set(sys.modules) - before)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_suite_without_the_lab_is_left_alone(pytester: pytest.Pytester) -> None:
    """No warning, no section, SIGTERM as it was; the marker is known where markers are strict."""
    pytester.makepyfile(
        "import signal, sys, pytest\n"
        "@pytest.mark.lab(image='shop:v1')\n"
        "def test_it():\n"
        "    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
        "    assert 'docker' not in sys.modules\n"
    )
    ended = pytester.runpytest_subprocess()
    ended.assert_outcomes(passed=1)
    assert "= lab =" not in ended.stdout.str()


@pytest.mark.parametrize(
    ("ci", "argv", "outcome"),
    [
        ("", [], {"skipped": 1}),
        ("true", [], {"errors": 1}),
        ("true", ["--lab-require", "no"], {"skipped": 1}),
        ("", ["--lab-require", "yes"], {"errors": 1}),
    ],
)
def test_without_docker_it_skips_here_and_fails_in_a_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, argv: list[str], outcome: dict[str, int]
) -> None:
    """A test that is skipped in a CI would be a green that says nothing."""
    if ci:
        monkeypatch.setenv("CI", ci)
    pytester.makepyfile(USES_LAB)
    ended = pytester.runpytest_inprocess("-rs", *argv)
    ended.assert_outcomes(**outcome)
    assert "no Docker engine answers" in ended.stdout.str()


def test_the_seed_is_told_and_can_be_given(pytester: pytest.Pytester) -> None:
    """On the command line, in the ini file, and drawn otherwise."""
    pytester.makepyfile("def test_it(): pass")
    assert "lab: seed 7\n" in pytester.runpytest_inprocess("--lab-seed", "7").stdout.str()
    drawn = [re.search(r"lab: seed (\d+)", pytester.runpytest_inprocess().stdout.str()) for _ in range(2)]
    assert len({found[1] for found in drawn if found}) > 1
    pytester.makeini(f"{INI}    error\n    {ALREADY}\nlab_seed = 8\n")
    assert "lab: seed 8\n" in pytester.runpytest_inprocess().stdout.str()


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("seed", "x"),
        ("seed", "-1"),
        ("seed", "9" * 30),
        ("scope", "bad"),
        ("require", "maybe"),
        ("keep", "some"),
        ("parallel", "-1"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(pytester: pytest.Pytester, name: str, given: str) -> None:
    """By its name, before any test, on the command line and in the ini file alike."""
    pytester.makepyfile("def test_plain(): pass")
    ended = pytester.runpytest_inprocess(f"--lab-{name}", given)
    assert ended.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: --lab-{name} {given}: is " in ended.stderr.str()
    pytester.makeini(f"{INI}    error\n    {ALREADY}\nlab_{name} = {given}\n")
    assert pytester.runpytest_inprocess().ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.slow
def test_workers_share_the_seed_and_have_projects_of_their_own(pytester: pytest.Pytester) -> None:
    """So that two never touch each other's cluster, and one seed repeats them all."""
    pytester.makepyfile(
        "import pytest\n"
        "@pytest.mark.parametrize('number', range(8))\n"
        "def test_it(number, lab_project, request, pytestconfig):\n"
        "    from lab.pytest_plugin import _SEED\n"
        "    request.node.user_properties += [('project', lab_project), ('seed', pytestconfig.stash[_SEED])]\n"
    )
    ended = pytester.runpytest_subprocess("-n", "2", "--dist", "each", "--junitxml=out.xml")
    ended.assert_outcomes(passed=16)
    told = properties(pytester.path / "out.xml")
    assert len(told["project"]) == 2
    assert {name.rpartition("-")[2] for name in told["project"]} == {"gw0", "gw1"}
    assert len(told["seed"]) == 1


@pytest.mark.parametrize(
    ("files", "argv", "found"),
    [
        ('"compose.yaml"', [], "compose.yaml"),
        ('["compose.yaml"]', [], "compose.yaml"),
        ('"nowhere.yaml"', [], "None"),
        ('"compose.yaml"', ["--lab-compose", "mine.yaml"], "mine.yaml"),
        ('["compose.yaml", "more.yaml"]', [], "docker_compose_file: there are 2 files"),
    ],
)
def test_pytest_dockers_fixtures_are_taken_where_they_are_overridden(
    pytester: pytest.Pytester, files: str, argv: list[str], found: str
) -> None:
    """The compose file and the project's name; an option says it louder, and a file that is not there says nothing."""
    pytester.makeconftest(
        "import pathlib, pytest\n"
        "@pytest.fixture(scope='session')\n"
        f"def docker_compose_file(): return {files}\n"
        "@pytest.fixture(scope='session')\n"
        "def docker_compose_project_name(): return 'theirs'\n"
    )
    (pytester.path / "compose.yaml").write_text("services: {}")
    pytester.makepyfile(
        "def test_it(lab_project, lab_compose_file): print(f'{lab_project} {lab_compose_file}'.replace('/', ' '))"
    )
    said = pytester.runpytest_inprocess("-s", *argv).stdout.str()
    assert found in said
    if "there are" not in found:
        assert "theirs-main " in said


def properties(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in ElementTree.parse(path).iter("property"):  # noqa: S314 -- pytest wrote it just now
        found.setdefault(one.attrib["name"], set()).add(one.attrib["value"])
    return found


def test_a_finding_is_printed_instead_of_a_traceback(pytester: pytest.Pytester) -> None:
    """What was lost says more than where an exception was raised; any other failure keeps its traceback."""
    pytester.makepyfile(
        "import lab\n"
        "def test_lost(): raise lab.StateLost('BROKEN state_kept: 3 of 60 users lost state')\n"
        "def test_told(): raise lab.NothingTold('COULD NOT TELL   too little')\n"
        "def test_own(): assert 1 == 2\n"
    )
    ended = pytester.runpytest_inprocess()
    ended.assert_outcomes(failed=3)
    said = ended.stdout.str()
    assert "BROKEN state_kept: 3 of 60 users lost state" in said
    assert "COULD NOT TELL   too little" in said
    assert "raise lab.StateLost" not in said
    assert "assert 1 == 2" in said


RUN_OF_A_TEST = """
import pytest
from lab.model import Verdict
from lab.pytest_plugin import _properties
from lab.session import RunResult

@pytest.mark.parametrize("verdict", [Verdict.HELD, Verdict.BROKEN], ids=str)
def test_it(request, verdict):
    lines = (f"{verdict.upper()} of 5 % | users", "  why", "  report")
    result = RunResult(run="r1", folder="/runs/r1", project="lab-1", seed=7, verdict=verdict, lines=lines)
    request.node.user_properties.extend(_properties(result))
"""


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "xdist"])
@pytest.mark.slow
def test_runs_are_told_to_people_and_machines(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: list[str]
) -> None:
    """In a section of their own, in JUnit's properties, as a table in a CI's summary, as its annotation where red."""
    summary = pytester.path / "summary.md"
    summary.write_text("# before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    path = pytester.makepyfile(RUN_OF_A_TEST)
    ended = pytester.runpytest_subprocess("--junitxml=out.xml", *workers)
    said = ended.stdout.str()
    assert "HELD of 5 % | users" in said
    assert said.count("::error ") == 1
    assert f"::error file={path.name},line=6::BROKEN of 5 %25 | users" in said
    told = properties(pytester.path / "out.xml")
    assert told["lab.verdict"] == {"held", "broken"}
    assert told["lab.seed"] == {"7"}
    text = summary.read_text()
    assert text.startswith("# before\n")
    assert text.count("| seed |") == 1
    assert "HELD of 5 % \\| users | 7 |" in text


def test_a_sigterm_unwinds_like_a_ctrl_c(pytester: pytest.Pytester) -> None:
    """Teardown runs, so that a cancelled job leaves no cluster; only where a fixture of the lab is in use."""
    pytester.makepyfile(
        "import pathlib, threading, pytest\n"
        "@pytest.fixture\n"
        "def torn():\n"
        "    yield\n"
        "    pathlib.Path('torn').touch()\n"
        "def test_it(lab_factory, torn):\n"
        "    pathlib.Path('begun').touch()\n"
        "    threading.Event().wait(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "pytest"], cwd=pytester.path, stdout=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        try:
            wait_until("the test has begun", (pytester.path / "begun").exists, within=30)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == pytest.ExitCode.INTERRUPTED
        finally:
            process.kill()
    assert (pytester.path / "torn").exists()


def test_one_cluster_at_a_time_says_that_it_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes second is told, and goes on when the first is done."""
    monkeypatch.setattr(locks, "CLUSTER_LOCK", tmp_path / "lock")
    said: list[str] = []
    got, first = threading.Event(), locks.cluster_lock(said.append)

    def second() -> None:
        with locks.cluster_lock(said.append):
            got.set()

    with first:
        thread = threading.Thread(target=second, daemon=True)
        thread.start()
        wait_until("the second one says that it waits", lambda: bool(said), within=10)
        assert not got.is_set()
    assert got.wait(10)
    thread.join(10)
    assert said == ["waiting: another test's cluster is up; --lab-parallel 1 would not wait"]


@pytest.mark.parametrize(
    ("argv", "first"), [([], "waits"), (["--lab-parallel", "0"], "waits"), (["--lab-parallel", "1"], "stands")]
)
def test_nobody_is_waited_for_only_where_that_is_asked(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, argv: list[str], first: str
) -> None:
    """0 asks for nothing."""

    def saying(what: str) -> Callable[..., NoReturn]:
        def say(*_: object, **__: object) -> NoReturn:
            raise UsageError(f"first of all it {what}")

        return say

    monkeypatch.setattr(engine, "try_connect", io.StringIO)
    monkeypatch.setattr(locks, "cluster_lock", saying("waits"))
    monkeypatch.setattr(standing, "stand", saying("stands"))
    pytester.makepyfile(USES_LAB)
    assert f"first of all it {first}" in pytester.runpytest_inprocess(*argv).stdout.str()


def read(file: Path) -> Mapping[str, Any]:
    assert file.name == "compose.yaml"
    return {"services": {"web": {"image": "web:dev"}, "db": {"build": "."}}}


def test_a_marker_says_what_cluster_it_is() -> None:
    """The shop, or an app of one's own with the image of its service; replicas spread over zones."""
    shop = cluster_of({}, read)
    assert (shop.release, shop.zones, shop.compose) == ("shop:v1", {"a": 2, "b": 2, "c": 2}, None)
    own = cluster_of({"compose": "x/compose.yaml", "service": "web", "port": 80, "zones": 3, "replicas": 4}, read)
    assert (own.release, own.zones, own.port, own.ready) == ("web:dev", {"a": 2, "b": 1, "c": 1}, 80, "/healthz")
    for replicas, zones in ((1, {"a": 1}), (2, {"a": 1, "b": 1}), (4, {"a": 2, "b": 1, "c": 1})):
        assert cluster_of({"replicas": replicas}, read).zones == zones
    assert cluster_of({"zones": {"x": 1}, "image": "shop:v2"}, read).zones == {"x": 1}


@pytest.mark.parametrize(
    "asked",
    [
        {"imgae": "shop:v1"},
        {"zones": 4, "replicas": 3},
        {"zones": 0},
        {"port": "eighty"},
        {"compose": "compose.yaml", "service": "db", "port": 1},
    ],
)
def test_a_marker_that_makes_no_sense_is_refused(asked: dict[str, Any]) -> None:
    """Before anything is brought up."""
    with pytest.raises(UsageError):
        cluster_of(asked, read)


def test_lengths_of_time() -> None:
    """As people write them."""
    assert [seconds(one) for one in ("15s", "500ms", "2m", "1.5", 3, "1h")] == [15, 0.5, 120, 1.5, 3, 3600]
    with pytest.raises(UsageError):
        seconds("soon")
