"""An app that stops in one way or another, as its image says."""

from __future__ import annotations

from pathlib import Path

from lab.machine.setup import Toolbox
from tests.building import build_image

APP = Path(__file__).resolve().parents[1] / "apps" / "stops"


def build(toolbox: Toolbox, stops: str, version: str, *, kind: str = "", **more: str) -> None:
    """One way to stop, in one release; `more` are arguments of its image, which is called by their `kind`."""
    arguments = {"BASE": toolbox.images.base_tag, "STOPS": stops, "VERSION": version, **more}
    build_image(toolbox.engine, f"stops:{stops}{kind}-{version}", path=APP, **arguments)
