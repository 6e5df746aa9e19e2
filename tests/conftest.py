"""What all tests share: where things are, and what real containers are made with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.cluster.places import Places, find_places
from lab.cluster.setup import Toolbox, make_ready


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
