"""The short form of the whole sabotage: what deserves red turns red by its own promise, and the healthy build holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.machine.images import SPOILT, UNUSUAL
from tests.sabotage.builds import BUILDS, HEALTHY, RIGHT
from tests.sabotage.trying import Build, try_build

SHORT = ("lost-update", "doubled", "no-drain", "redirects", "hidden-cut", "any-password")
HOLDS = ("chunked",)
TRIED = [(build, 1) for build in BUILDS if build.name in SHORT]
TRIED += [(build, 1) for build in RIGHT if build.name in HOLDS] + [(HEALTHY, 1)]


def test_every_spoilt_image_has_a_promise_to_break() -> None:
    """No image is spoilt for nothing: each mistake that can be built is in the table."""
    made = {one.name.partition(":")[2] for one in SPOILT}
    tried = {name for build in BUILDS for name in (build.first, build.then)}
    assert {name.partition("-")[2] for name in made} <= {name.partition("-")[2] for name in tried}
    assert all(build.breaks for build in BUILDS)
    assert len(BUILDS) >= 60


def test_every_mistake_has_a_cause_that_must_be_named() -> None:
    """A verdict that is red for its own reason says which that is."""
    assert [build.name for build in BUILDS if not build.cause] == []


def test_every_unusual_image_must_hold() -> None:
    """None is built for nothing, and there are enough of them."""
    assert {one.name.partition(":")[2] for one in UNUSUAL} == {build.then for build in RIGHT}
    assert len(RIGHT) >= 17


@pytest.mark.e2e
@pytest.mark.judges_time
@pytest.mark.parametrize(("build", "seed"), TRIED, ids=[f"{build.name}-{seed}" for build, seed in TRIED])
def test_a_build_gets_what_it_deserves(build: Build, seed: int, tmp_path: Path) -> None:
    """On real containers, the whole lab as anybody would run it."""
    judged = try_build(build, seed, tmp_path)
    assert not judged.wrong, judged.line
    assert judged.operations > 1000
