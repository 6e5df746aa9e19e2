"""Puts the images' and the cluster's sources into a wheel, so that an installed lab needs no checkout beside it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("images", "compose")
DOCUMENTS = ("README.md", "CHANGELOG.md", "docs", "images/pictures")
"""What only an archive of the sources has."""
NOT_SHIPPED = {"pictures", "__pycache__"}
"""The documents' pictures, and what Python leaves behind."""


def shipped_files(root: Path = ROOT) -> Iterator[Path]:
    """What goes along, by path."""
    for folder in SHIPPED:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not NOT_SHIPPED & set(path.parts):
                yield path


def documents(root: Path = ROOT) -> Iterator[Path]:
    """The pages and their pictures, by path."""
    for name in DOCUMENTS:
        path = root / name
        yield from (one for one in ([path] if path.is_file() else sorted(path.rglob("*"))) if one.is_file())


class WithSources(build_py):
    """setuptools' own step, and then the sources, as they are, in lab/shipped/."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for path in shipped_files():
            target = Path(self.build_lib) / "lab" / "shipped" / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)

    def get_source_files(self) -> list[str]:
        """What an archive of the sources needs for the same wheel to be built from it."""
        return [
            *super().get_source_files(),
            *(str(path.relative_to(ROOT)) for path in (*shipped_files(), *documents())),
        ]
