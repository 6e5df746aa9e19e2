"""Where the lab keeps things: the sources of images and cluster, its own state in .lab/, evidence in runs/."""

from __future__ import annotations

import re
from pathlib import Path

from lab.errors import SetupError, UsageError
from lab.model import Value

_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")
"""What Compose takes for a project's name; no path is one, and no pattern."""


class Places(Value):
    """The folders of one lab: a checkout, or wherever an installed one is called."""

    root: Path
    sources: Path
    """What has images/ and compose/."""

    @property
    def images(self) -> Path:
        return self.sources / "images"

    @property
    def compose_file(self) -> Path:
        return self.sources / "compose" / "cluster.yaml"

    @property
    def own(self) -> Path:
        """What the lab keeps for itself: the engine's log and pid, the files that clusters mount."""
        return self.root / ".lab"

    @property
    def engine(self) -> Path:
        return self.own / "engine"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def state(self) -> Path:
        """What is wanted of this checkout's clusters, and who leads them."""
        return self.own / "state.db"

    def cluster(self, project: str) -> Path:
        """What one cluster's containers mount. Raises UsageError for what is no project's name."""
        check_project(project)
        return self.own / "clusters" / project


def check_project(name: str) -> None:
    """Raise UsageError for what is no project's name."""
    if not is_project(name):
        raise UsageError(
            "a project's name is of a-z, 0-9, - and _, beginning with a letter or digit",
            at=f"--project {name}",
            hint="leave --project and LAB_PROJECT out for this checkout's own",
        )


def is_project(name: str) -> bool:
    """Whether a cluster may bear this name."""
    return _PROJECT.fullmatch(name) is not None


def find_places() -> Places:
    """The checkout that this package was installed from; or the folder one is in, with the sources of the package.

    Raises SetupError where there are none.
    """
    package = Path(__file__).resolve().parents[1]
    checkout, shipped = package.parent, package / "shipped"
    if _has_sources(checkout):
        return Places(root=checkout, sources=checkout)
    if _has_sources(shipped):
        return Places(root=Path.cwd(), sources=shipped)
    raise SetupError(
        "the lab's images/ and compose/ are neither beside its package nor in it",
        at=str(package),
        hint="git clone the project and run make setup there, or pip install that folder",
    )


def _has_sources(folder: Path) -> bool:
    return (folder / "images" / "base" / "recipe.yaml").is_file()
