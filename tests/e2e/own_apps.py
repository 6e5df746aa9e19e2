"""A team's own app: the site in `tests/apps/django`, and what the README shows beside it."""

from __future__ import annotations

from pathlib import Path

from docker import APIClient

from tests.building import build_image
from tests.documents import README, shown_file
from tests.e2e.runs import ROOT

DJANGO = ROOT / "tests" / "apps" / "django"
VARIANTS = {
    "v1": {"VERSION": "v1"},
    "v2": {"VERSION": "v2"},
    "v1-locmem": {"VERSION": "v1", "SESSIONS": "locmem"},
    "v2-locmem": {"VERSION": "v2", "SESSIONS": "locmem"},
}


def build_django(engine: APIClient, base: str) -> None:
    """Django from Debian's packages, in two releases, and both with sessions in the process."""
    for tag, settings in VARIANTS.items():
        build_image(engine, f"django-notes:{tag}", path=DJANGO, BASE=base, **settings)


def write_readme_files(folder: Path) -> None:
    """The files that the README shows, beside the site's compose file."""
    for name in ("lab.yaml", "journey.py"):
        (folder / name).write_text(shown_file(README, name))
    (folder / "compose.yaml").write_text((DJANGO / "compose.yaml").read_text())
