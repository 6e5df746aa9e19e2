"""What all tests share: where things are, and what real containers are made with."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

from lab.backends.choose import backend_on
from lab.backends.docker import take_down
from lab.backends.protocol import Backend
from lab.backends.swarm import PARTS, SwarmBackend
from lab.errors import StateError
from lab.machine.images import NODE
from lab.machine.labels import this_process
from lab.machine.places import Places, find_places
from lab.machine.ports import free_port
from lab.machine.projects import kept_identity
from lab.machine.setup import Toolbox, make_ready
from lab.machine.swarm import find_swarm
from lab.machine.yard import make_yard
from lab.retry import wait_until
from lab.state.redis import RedisState
from tests.browsing import find_browser, go_without
from tests.machine import JUDGES_TIME, could_not_tell, in_short, load_now
from tests.yard import Yard

if TYPE_CHECKING:
    from playwright.sync_api import Browser


hypothesis.settings.register_profile("lab", deadline=None)  # how long an example takes is the machine's doing
hypothesis.settings.load_profile("lab")

SHARED = {
    "shop_cluster": "shop cluster",
    "lab": "plugin",  # its clusters wait for each other, over all processes
    **dict.fromkeys(("stage", "replicated", "hand", "redis_url", "yard", "installed", "browser"), ""),
}
"""Fixtures that take seconds to make: tests that share one run in one worker. By fixture the group's name, if it is
shared by more than one module; the first that a test asks for counts."""


LONG = ("test_lessons", "test_rollouts")
"""Modules whose tests take the longest: they begin first, so that short ones are left for the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on containers mostly wait, so a few run beside each other (`--dist loadgroup`), each cluster made once."""
    for item in items:
        asked = getattr(item, "fixturenames", ())
        shared = next((one for one in SHARED if one in asked), None)
        if item.get_closest_marker("xdist_group") is not None:
            continue
        if shared is not None:
            item.add_marker(pytest.mark.xdist_group(SHARED[shared] or f"{item.path.stem} {shared}"))
        elif item.path.parent.name == "contract":  # whose parameters choose the fixture
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem} contract"))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """When a test's turn comes: long ones, then those that share a cluster, then what is short and may fill gaps."""
    if item.get_closest_marker("e2e") is None:
        return 0
    group = item.get_closest_marker("xdist_group")
    if group is not None:
        return 0 if group.args == ("plugin",) else 2
    return 1 if item.path.stem in LONG else 3


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A check that judges time and fails on a machine that is late has told nothing, and says so."""
    report = yield
    load, cores = load_now()
    judges_time = item.get_closest_marker(JUDGES_TIME) is not None
    error = None if call.excinfo is None else call.excinfo.value
    said = could_not_tell(report, judges_time=judges_time, load=load, cores=cores, error=error)
    if said:
        failure = in_short(str(call.excinfo.value)) if call.excinfo is not None else ""
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"{said}; {failure}")
    return report


@pytest.fixture(scope="session")
def places() -> Places:
    """The checkout under test."""
    return find_places()


@pytest.fixture(scope="session")
def toolbox(places: Places) -> Iterator[Toolbox]:
    """Engine, Compose and images; made ready where they are not."""
    box = make_ready(places, print)
    yield box
    box.engine.close()


@pytest.fixture(scope="session")
def backend(toolbox: Toolbox) -> Backend:
    """Clusters on this machine's engine."""
    return backend_on(toolbox)


@pytest.fixture(scope="session")
def swarm_backend(toolbox: Toolbox, places: Places) -> Iterator[Backend]:
    """Clusters on a yard of the tests' own, gone afterwards."""
    name = f"lab-t{secrets.token_hex(2)}-yard"
    toolbox.images.make_missing(print, [NODE])
    try:
        make_yard(toolbox, kept_identity(name), places.cluster(name), print, by=this_process())
        swarm = find_swarm(toolbox.engine, name)
        found = SwarmBackend(toolbox, swarm)
        found.provide([*PARTS, "shop:v1"], print)
        yield found
        swarm.close()
    finally:
        take_down(toolbox.engine, places, name)


@pytest.fixture(scope="module")
def redis_url(toolbox: Toolbox) -> Iterator[str]:
    """A Redis of its own for the lab's state, with a password, on loopback, gone afterwards."""
    password, port = secrets.token_hex(8), free_port()
    engine = toolbox.engine
    made = engine.create_container(
        toolbox.images.tag("redis"),
        entrypoint=["redis-server", "--port", "6379", "--requirepass", password, "--save", ""],
        ports=[6379],
        labels={"lab.test": "state"},
        host_config=engine.create_host_config(port_bindings={6379: ("127.0.0.1", port)}),
    )
    try:
        engine.start(made["Id"])
        url = f"redis://:{password}@127.0.0.1:{port}/0"

        def answers() -> bool:
            try:
                with RedisState(url) as state:
                    return state.read("nothing") is None
            except StateError:
                return False

        wait_until("Redis answers", answers, within=20)
        yield url
    finally:
        engine.remove_container(made["Id"], force=True, v=True)


@pytest.fixture(scope="module")
def yard(toolbox: Toolbox) -> Iterator[Yard]:
    """A place on a real engine where a test's own victims can be made; gone afterwards."""
    made = Yard(toolbox)
    try:
        made.open()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a module that look at pages; each opens a context of its own.

    Not for longer: Playwright keeps an event loop running in this thread, in which no other can be run meanwhile.
    """
    found = find_browser()
    if found is None:
        go_without("no Chromium or Chrome here")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        go_without("Playwright is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
