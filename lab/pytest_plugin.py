"""The pytest plugin: a cluster as a fixture, logged-in users as a `with` block, a lost state as a red test.

Every pytest of an environment with the lab in it loads this module, so it imports nothing but pytest and the lab's
errors until one of its fixtures is used.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.errors import LabError, NothingTold, StateLost, UsageError

if TYPE_CHECKING:
    from lab.session import ClusterSession, RollResult, RunResult, Traffic
    from lab.users.own import UserJourney

MARKER = (
    "lab(compose, service, image, port, ready, replicas, zones): the cluster of the `lab` fixture;"
    " without compose it is the lab's own shop"
)
SCOPES = ("function", "class", "module", "package", "session")
CHOICES = {
    "scope": ("module", *(one for one in SCOPES if one != "module")),
    "keep": ("never", "failed", "always"),
    "require": ("auto", "yes", "no"),
    "parallel": ("0", "1"),
}
"""What options that are a choice may be, the first by default."""
LONGEST_SEED = 18
"""Digits: any reader of a record knows such a number."""
RUN = "lab.run"
"""The first of the properties that tell of one run; those after it, up to the next of this name, belong to it."""


# ---------------------------------------------------------------- options


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, each with its twin in the ini file (`lab_seed = 7`)."""
    group = parser.getgroup("lab", "local container clusters")
    told = {
        "--lab-compose": ("FILE", "the compose file of the app under test"),
        "--lab-seed": ("N", "repeat users and strikes; a fresh seed is drawn and printed otherwise"),
        "--lab-keep": ("WHEN", "leave clusters standing: never (default), failed, always"),
        "--lab-report": ("DIR", "where the records of runs go (default: the lab's own runs/)"),
        "--lab-scope": ("SCOPE", f"how long a cluster lives: {', '.join(SCOPES)} (default: module)"),
        "--lab-require": ("WHEN", "fail without Docker instead of skipping: auto (default: where CI is set), yes, no"),
        "--lab-parallel": ("N", "1: don't wait until other tests' clusters are gone"),
    }
    ui = "serve a live page of each run on 127.0.0.1, and say where"
    group.addoption("--lab-ui", action="store_const", const="1", default=None, help=ui)
    parser.addini("lab_ui", ui, default=None)
    for name, (metavar, about) in told.items():
        group.addoption(name, metavar=metavar, default=None, help=about)
        parser.addini(name.removeprefix("--").replace("-", "_"), about, default=None)


def _option(config: pytest.Config, name: str, default: str = "") -> str:
    given = config.getoption(f"--lab-{name}")
    return str(given if given is not None else config.getini(f"lab_{name}") or default)


def _choice(config: pytest.Config, name: str) -> str:
    """One of its choices, the first by default. Raises UsageError."""
    given = _option(config, name, CHOICES[name][0])
    if given not in CHOICES[name]:
        raise pytest.UsageError(f"--lab-{name} {given}: is one of {', '.join(CHOICES[name])}")
    return given


# ---------------------------------------------------------------- the session


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    for name in CHOICES:
        _choice(config, name)  # refused here, where pytest tells it as a mistake of the command line
    config.stash[_SEED] = _seed(config)
    config.stash[_TELLING] = _Telling()
    config.pluginmanager.register(config.stash[_TELLING], "lab-telling")
    if getattr(config.option, "numprocesses", None):
        _unwind_at_sigterm()  # the workers' teardown needs this process to end in good order as well


def _seed(config: pytest.Config) -> int:
    from_controller = getattr(config, "workerinput", {}).get("lab_seed")
    given = from_controller if from_controller is not None else _option(config, "seed")
    if given == "":
        return secrets.randbelow(10**6)
    if not (str(given).isascii() and str(given).isdecimal()) or len(str(given)) > LONGEST_SEED:
        raise pytest.UsageError(f"--lab-seed {given}: is not a number of up to {LONGEST_SEED} digits")
    return int(given)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist's: the workers' seed is this process's."""
    node.workerinput["lab_seed"] = node.config.stash[_SEED]


def pytest_report_header(config: pytest.Config) -> str:
    return f"lab: seed {config.stash[_SEED]}"


def _unwind_at_sigterm() -> None:
    """SIGTERM ends Python without any teardown, and clusters would be left; as Ctrl-C it unwinds."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def unwind(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, unwind)


# ---------------------------------------------------------------- fixtures


@pytest.fixture(scope="session")
def lab_project(request: pytest.FixtureRequest) -> str:
    """What the names of all clusters of this process begin with; override it, or pytest-docker's, to have your own."""
    worker = getattr(request.config, "workerinput", {})
    theirs = _theirs(request, "docker_compose_project_name")
    own = theirs or f"lab-{worker.get('testrunuid', secrets.token_hex(4))[:8]}"
    return f"{own}-{worker.get('workerid', 'main')}"


@pytest.fixture(scope="session")
def lab_compose_file(request: pytest.FixtureRequest) -> str | None:
    """The compose file where the marker names none: `--lab-compose`, or pytest-docker's; override it.

    None: the lab's own shop.
    """
    given = _option(request.config, "compose")
    if given:
        return str(Path(request.config.rootpath, given))
    theirs = _theirs(request, "docker_compose_file")
    files = [theirs] if isinstance(theirs, str | Path) else list(theirs or ())
    if len(files) > 1:
        raise UsageError(
            f"there are {len(files)} files, and the lab takes one",
            at="docker_compose_file",
            hint="docker compose config >one.yaml; --lab-compose one.yaml",
        )
    # pytest-docker names a file of its own if nobody overrides the fixture; that it exists says that it is meant.
    return next((str(file) for file in files if Path(file).is_file()), None)


def _theirs(request: pytest.FixtureRequest, name: str) -> Any:
    """What a fixture of pytest-docker's says, its own or one that somebody wrote in its place; None without one."""
    try:
        return request.getfixturevalue(name)
    except pytest.FixtureLookupError:
        return None


def _scope(fixture_name: str, config: pytest.Config) -> Any:  # noqa: ARG001 -- pytest names its arguments
    return _choice(config, "scope")


@pytest.fixture(scope=_scope)
def lab_factory(
    request: pytest.FixtureRequest, lab_project: str, lab_compose_file: str | None
) -> Iterator[Callable[..., ClusterSession]]:
    """Makes clusters by what the marker may say; one at a time: another one takes the place of the first."""
    _unwind_at_sigterm()
    with _Factory(request.config, lab_project, lab_compose_file) as factory:
        yield factory


@pytest.fixture(scope=_scope)
def lab_cluster(request: pytest.FixtureRequest, lab_factory: Callable[..., ClusterSession]) -> ClusterSession:
    """The cluster that the marker asks for, up for as long as `--lab-scope` says."""
    return lab_factory(**_marked(request))


@pytest.fixture
def lab(request: pytest.FixtureRequest, lab_factory: Callable[..., ClusterSession]) -> Iterator[Lab]:
    """The cluster in the hands of one test, serving the release that the marker names, with users of its own."""
    standing = lab_factory(**_marked(request))
    standing.freshen()
    before = len(standing.results)
    try:
        yield Lab(standing, request.node.nodeid)
    finally:
        for result in standing.results[before:]:
            request.node.user_properties.extend(_properties(result))


@pytest.fixture
def lab_watch(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`lab.watch` with this session's seed and folder of records; no cluster is made, and no engine is needed."""
    from lab.operate.watching import watch

    def watched(*what: Any, **how: Any) -> Any:
        report = _option(request.config, "report")
        usual = {"seed": request.config.stash[_SEED], "runs": Path(report) if report else None}
        result = watch(*what, **{**usual, **how})
        told = [(RUN, result.run), ("lab.verdict", str(result.verdict)), ("lab.seed", str(result.seed))]
        told += [("lab.record", result.folder), ("lab.says", json.dumps(result.lines))]
        request.node.user_properties.extend(told)
        return result

    return watched


def _marked(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the markers say, the nearest last; relative paths are beside the test's file."""
    said: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("lab"))):
        if mark.args:
            raise UsageError(
                "takes keyword arguments only", at="marker lab", hint='lab(compose="compose.yaml", service="web")'
            )
        said |= mark.kwargs
    if said.get("compose") is not None:
        said["compose"] = str(Path(request.path).parent / said["compose"])
    return said


class Lab:
    """What one test may do."""

    def __init__(self, standing: ClusterSession, test: str) -> None:
        self._standing, self._test = standing, test
        self._now: Traffic | None = None

    @property
    def url(self) -> str:
        """Where the app answers."""
        return self._standing.live.url

    @property
    def project(self) -> str:
        """The cluster's name."""
        return self._standing.project

    @property
    def seed(self) -> int:
        """Of users and strikes."""
        return self._standing.seed

    @property
    def results(self) -> list[RunResult]:
        """How each run on this cluster ended, those of earlier tests too; the last is the newest."""
        return self._standing.results

    def traffic(
        self,
        journey: type[UserJourney] | None = None,
        *,
        users: int = 20,
        think: float = 0.4,
        tries: int = 3,
        on_two_devices: int | None = None,
        promises: Mapping[str, Any] | None = None,
        enough: Mapping[str, Any] | None = None,
    ) -> AbstractContextManager[Traffic]:
        """Logged-in users while the block runs; when it ends they read back, and StateLost is raised if any was hurt.

        `journey` is a subclass of `lab.Journey`; without one they are the shop's own. `promises` and `enough` are as
        in a scenario file (`lab reference`).
        """
        from lab.session import traffic_of

        spec = {"count": users, "think": think, "tries": tries, "on_two_devices": on_two_devices}
        repeat = f"pytest {self._test} --lab-seed {self.seed}"
        made = traffic_of(self._standing, journey, self._test, spec, promises, enough, repeat)
        return self._kept_in_mind(made)

    def roll(self, image: str, **settings: Any) -> RollResult:
        """Upgrade to `image`, with the keys of the step `roll`: strategy, batch, shares, judge, and so on."""
        return self._traffic().roll(image, **settings)

    def monkey(self, *, every: float | str = 3.0, at_most: int = 4, **settings: Any) -> AbstractContextManager[None]:
        """Kill replicas that serve while the block runs, with the keys of the step `monkey` beside these two."""
        from lab.session import seconds

        mean = seconds(every)
        least = len(self._standing.spec.slots) - 1
        usual = {"at_least": 1, "least_gap": mean / 2, "least_serving": least}
        return self._traffic().monkey(**{**usual, **settings, "mean_gap": mean, "at_most": at_most})

    def wait(self, length: float | str) -> None:
        """Let the users act for so long ("15s"); returns when every slot serves."""
        self._traffic().wait(length)

    def strike(self, do: str, to: str = "any", *, lasts: float | str = 2.0, **settings: Any) -> None:
        """One fault of the table, with the keys of the step `strike`; returns when it is undone and all serve."""
        self._traffic().strike({"do": do, "to": to, **settings}, lasts)

    def lose_zone(self, zone: str, *, lasts: float | str = 6.0, **settings: Any) -> None:
        """Every container of a zone at once, with the keys of the step `lose_zone`; returns when all serve again."""
        self._traffic().lose_zone({"zone": zone, **settings}, lasts)

    def _kept_in_mind(self, made: AbstractContextManager[Traffic]) -> AbstractContextManager[Traffic]:
        @contextmanager
        def kept() -> Iterator[Traffic]:
            with made as traffic:
                self._now = traffic
                yield traffic

        return kept()

    def _traffic(self) -> Traffic:
        if self._now is None:
            raise UsageError("there are no users who could lose anything", at="lab", hint="with lab.traffic(...): ...")
        return self._now


class _Factory:
    """At most one cluster at a time; `with` ends the last."""

    def __init__(self, config: pytest.Config, project: str, compose: str | None) -> None:
        self._config, self._project, self._compose = config, project, compose
        self._stack = ExitStack()
        self._asked: dict[str, Any] | None = None
        self._standing: ClusterSession | None = None

    def __enter__(self) -> _Factory:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, **asked: Any) -> ClusterSession:
        if self._standing is None or asked != self._asked:
            self._end()
            self._standing, self._asked = self._begin(asked), asked
        return self._standing

    def _begin(self, asked: dict[str, Any]) -> ClusterSession:
        from lab.machine.engine import try_connect
        from lab.machine.locks import cluster_lock
        from lab.session import stand

        engine = try_connect()
        if engine is None:
            _no_docker(self._config)
        else:
            engine.close()
        with ExitStack() as stack:
            if _choice(self._config, "parallel") == "0":
                stack.enter_context(cluster_lock(self._say))
            number = self._config.stash[_COUNT] = self._config.stash.get(_COUNT, 0) + 1
            standing = stand(
                {"compose": self._compose, **asked},
                project=f"lab-{self._project.removeprefix('lab-')}-{number}",
                seed=self._config.stash[_SEED],
                runs=_option(self._config, "report"),
                keeps=_choice(self._config, "keep") != "never",
                say=self._say,
                has_page=_option(self._config, "ui") not in {"", "0", "false"},
            )
            stack.enter_context(standing)
            self._stack = stack.pop_all()
        return standing

    def _end(self) -> None:
        standing, self._standing = self._standing, None
        if standing is None:
            return
        keep = _choice(self._config, "keep")
        failed = self._config.stash[_TELLING].has_failed
        standing.is_kept = keep == "always" or (keep == "failed" and failed)
        self._stack.close()
        if standing.is_kept:
            self._say(f"left standing: {standing.live.url}; to remove it: lab down -p {standing.project}")

    def _say(self, line: str) -> None:
        """Past whatever captures output: a wait of minutes must be seen."""
        capture: Any = self._config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture is not None else ExitStack():
            reporter: Any = self._config.pluginmanager.getplugin("terminalreporter")
            if reporter is not None:
                reporter.write_line(f"lab: {line}")


def _no_docker(config: pytest.Config) -> None:
    """Skip, or fail where a test that is skipped would be a lie: in a CI."""
    require = _choice(config, "require")
    why = "no Docker engine answers; try: lab doctor"
    if require == "yes" or (require == "auto" and os.environ.get("CI")):
        pytest.fail(f"lab: {why} (--lab-require no skips)", pytrace=False)
    pytest.skip(f"lab: {why}")


# ---------------------------------------------------------------- what people and machines are told


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,  # noqa: ARG001 -- pytest names its arguments
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A finding, or what the lab lacks, stands for itself: a traceback into the lab would say less."""
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, (StateLost, NothingTold, LabError)):
        report.longrepr = str(call.excinfo.value)
    return report


def _properties(result: RunResult) -> list[tuple[str, str]]:
    """In JUnit's file, and on the way from a worker to whoever prints.

    Not by `record_property`, which warns under the default family of that file.
    """
    return [
        (RUN, result.run),
        ("lab.verdict", str(result.verdict)),  # xdist carries plain texts, no members of an enum
        ("lab.seed", str(result.seed)),
        ("lab.project", result.project),
        ("lab.record", result.folder),
        ("lab.says", json.dumps(result.lines)),
    ]


class _Telling:
    """Gathers what the runs of all workers came to, and tells it in the end."""

    def __init__(self) -> None:
        self.has_failed = False
        self._runs: list[tuple[pytest.TestReport, dict[str, str]]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.has_failed |= report.failed
        if report.when != "teardown":
            return
        for name, value in report.user_properties:
            if name == RUN:
                self._runs.append((report, {}))
            if name.startswith("lab.") and self._runs:
                self._runs[-1][1][name] = str(value)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._runs:
            terminalreporter.section("lab")
        for report, told in self._runs:
            terminalreporter.write_line(report.nodeid)
            for line in json.loads(told["lab.says"]):
                terminalreporter.write_line(f"  {line}")
            if os.environ.get("GITHUB_ACTIONS") and told["lab.verdict"] != "held":
                terminalreporter.write_line(_annotation(report, told))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if self._runs and summary and not hasattr(session.config, "workerinput"):
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(_table(self._runs))


def _annotation(report: pytest.TestReport, told: Mapping[str, str]) -> str:
    """A line that GitHub shows beside the test."""
    file, line, _ = report.location
    text = " ".join(json.loads(told["lab.says"])[:2])
    for raw, safe in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(raw, safe)
    return f"::error file={file},line={(line or 0) + 1}::{text}"


def _table(runs: list[tuple[pytest.TestReport, dict[str, str]]]) -> str:
    rows = ["| test | | | seed |", "|---|---|---|--:|"]
    for report, told in runs:
        said = " ".join(json.loads(told["lab.says"])[0].split()).replace("|", "\\|")
        test = report.nodeid.replace("|", "\\|")
        rows.append(f"| `{test}` | {told['lab.verdict']} | {said} | {told['lab.seed']} |")
    return "\n".join(["", *rows, ""])


_SEED = pytest.StashKey[int]()
_COUNT = pytest.StashKey[int]()
_TELLING = pytest.StashKey[_Telling]()
