"""Brings images to the engines of a swarm's nodes from the one on which they were made: nobody asks a registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lab.errors import UsageError
from lab.machine.engine import engine_errors, save_images
from lab.machine.images import ImageShelf
from lab.machine.setup import Toolbox
from lab.machine.swarm import Swarm

Say = Callable[[str], None]


def bring_images(toolbox: Toolbox, swarm: Swarm, tags: Sequence[str], say: Say) -> None:
    """See that every node that answers has these; what a node lacks is loaded there. Doing it again does nothing."""
    wanted = {tag: _id_of(toolbox.images, tag) for tag in dict.fromkeys(tags)}

    def load(engine: Any, node: str) -> list[str]:
        shelf = ImageShelf(engine, toolbox.places.images)
        missing = [tag for tag, content in wanted.items() if shelf.id_of(tag) != content]
        if missing:
            say(f"node {node[:12]}: loading {len(missing)} images")
            with engine_errors("bring images to a node", at=node[:12]):
                for _ in engine.load_image(save_images(toolbox.engine, missing)):
                    pass
        return missing

    swarm.each("bring images to the nodes", load)


def _id_of(images: ImageShelf, tag: str) -> str:
    found = images.id_of(tag)
    if found is None:
        raise UsageError("this machine's engine has no such image to bring to the nodes", at=tag, hint="lab setup")
    return found
