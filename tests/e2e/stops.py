"""An app that stops in one way or another, as its image says."""

from __future__ import annotations

from pathlib import Path

from lab.machine.setup import Toolbox

APP = Path(__file__).resolve().parents[1] / "apps" / "stops"


def build(toolbox: Toolbox, stops: str, version: str) -> None:
    """One way to stop, in one release."""
    arguments = {"BASE": toolbox.images.base_tag, "STOPS": stops, "VERSION": version}
    tag = f"stops:{stops}-{version}"
    for line in toolbox.engine.build(path=str(APP), tag=tag, rm=True, decode=True, buildargs=arguments):
        assert "error" not in line, line["error"]
