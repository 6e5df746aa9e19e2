"""Where the lab keeps things: a cluster's name is a name, and never a path out of the lab's own folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.machine.labels import Identity, identity_of
from lab.machine.places import Places, is_project

PLACES = Places(root=Path("/checkout"), sources=Path("/checkout"))
NO_NAMES = ("", ".", "..", "../..", "/somewhere", "a/b", "lab-*", "?ab-x", "Lab", "-lab", "é²", "lab\n")


@pytest.mark.parametrize("name", ["lab-x", "0", "my_shop-2"])
def test_a_clusters_folder_bears_its_name(name: str) -> None:
    """Within the lab's own folder."""
    assert is_project(name)
    assert PLACES.cluster(name) == Path("/checkout/.lab/clusters") / name


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_has_no_folder(name: str) -> None:
    """A path or a pattern is refused before anything is done with it."""
    assert not is_project(name)
    with pytest.raises(UsageError):
        PLACES.cluster(name)


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_bears_no_name_is_a_strangers(name: str) -> None:
    """A label can't send a sweep to a folder that is not the lab's."""
    assert identity_of(Identity(project=name, run="r", owner="o", expires=1).labels("app")) is None
