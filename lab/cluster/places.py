"""Where the project keeps things: sources in the checkout, its own state in .lab/, evidence in runs/."""

from __future__ import annotations

from pathlib import Path

from lab.errors import SetupError
from lab.model import Value


class Places(Value):
    """The folders of one checkout."""

    root: Path

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def compose_file(self) -> Path:
        return self.root / "compose" / "cluster.yaml"

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
        return self.own / "clusters" / project


def find_places() -> Places:
    """The checkout that this package was installed from. Raises SetupError where its images are not beside it."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "images" / "base" / "recipe.yaml").is_file():
        raise SetupError(
            "the lab's images/ and compose/ are not beside its package",
            at=str(root),
            way_out="git clone the project and run make setup there",
        )
    return Places(root=root)
