"""Images made of one of the lab's and a few files over it: somebody's own version of a part, built in seconds.

The tag carries a hash of the image below and of the files, so that what has not changed is never built again. The
labels are those of all the lab's images, so that `lab clean --all` removes these too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from shlex import quote

from docker import APIClient

from lab.errors import EngineError, UsageError
from lab.machine import labels
from lab.machine.build_context import pack_context
from lab.machine.engine import APIError, NotFound, engine_errors
from lab.machine.images import REPOSITORY
from lab.machine.locks import layers_lock
from lab.model import Value

OWNER = "lab.layer-of"
"""Whose layer it is: only its owner's older ones are removed when a new one is built."""

_RECIPE = """\
ARG BASE
FROM ${{BASE}}
USER 0:0
COPY shop /opt/shop/shop
RUN {compiled}python3 -c 'import shop.serve'
USER 10001:10001
"""
_COMPILE = "python3 -m compileall -q -f --invalidation-mode unchecked-hash {files} && "
"""What lies over the image's is compiled, since that never looks whether its sources have changed. Then all is loaded
once: a mistake that shows when a module is loaded is better told here than by replicas that never get ready."""
_PLACE = re.compile(r'File "/opt/shop/(?P<file>shop/[^"]+)", line (?P<line>\d+)')
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""The engine's builder paints what a command says on its second channel."""


class Layer(Value):
    """`files` lie over the shop's package: their paths begin with "shop/". `release` becomes the image's tag."""

    on: str
    """The full tag of the image below."""
    release: str
    files: Mapping[str, bytes]
    owner: str

    @property
    def recipe(self) -> bytes:
        """How it is built."""
        files = [quote(f"/opt/shop/{path}") for path in sorted(self.files) if path.endswith(".py")]
        return _RECIPE.format(compiled=_COMPILE.format(files=" ".join(files)) if files else "").encode()

    @property
    def tag(self) -> str:
        """Its owner's own: nobody else with the same files drops it. What it is made of is shared all the same."""
        made_of = hashlib.sha256(f"{self.on}\0{self.owner}\0".encode() + self.recipe)
        for path, content in sorted(self.files.items()):
            made_of.update(f"{path}\0{len(content)}\0".encode() + content)
        return f"{REPOSITORY}/layer-{made_of.hexdigest()[:12]}:{self.release}"


def build_layer(engine: APIClient, layer: Layer) -> str:
    """Build it unless it is there; the tag. Raises UsageError with file and line where the code can't be loaded."""
    if _is_there(engine, layer.tag):
        return layer.tag
    said: list[str] = []
    with engine_errors("build an image", at=layer.tag), layers_lock(removes=False):
        for line in engine.build(
            fileobj=pack_context({**layer.files, "Dockerfile": layer.recipe}),
            custom_context=True,
            tag=layer.tag,
            rm=True,
            forcerm=True,
            decode=True,
            buildargs={"BASE": layer.on},
            labels={
                labels.PROJECT: "images",
                labels.ROLE: "image",
                labels.RELEASE: layer.release,
                OWNER: layer.owner,
            },
        ):
            said.append(str(line.get("stream", "")))
            if "error" in line:
                raise _not_built("".join(said), str(line["error"]).strip())
    if not _is_there(engine, layer.tag):
        raise EngineError("the engine built an image but does not have it", at=layer.tag)
    return layer.tag


def drop_layers(engine: APIClient, owner: str, *, but: Collection[str]) -> list[str]:
    """Remove this owner's layers, `but` for some; one that a container is made from stays. What was removed."""
    return drop_images(engine, [f"{OWNER}={owner}", f"{labels.PROJECT}=images"], but=but)


def drop_images(engine: APIClient, carrying: Sequence[str], *, but: Collection[str] = ()) -> list[str]:
    """Remove the images that carry these labels, `but` for some and those in use. The tags that were removed."""
    removed = []
    with engine_errors("remove images"), layers_lock(removes=True):
        for image in engine.images(filters={"label": list(carrying)}):
            for tag in image.get("RepoTags") or ():
                if tag in but:
                    continue
                try:
                    engine.remove_image(tag, force=False)
                except APIError as exc:
                    if exc.status_code not in _STAYS:
                        raise
                else:
                    removed.append(tag)
    return removed


_STAYS = {404, 409}
"""Gone already, or in use."""


def _not_built(said: str, error: str) -> Exception:
    """A mistake in the files if the image's Python says where it is, else the engine's own trouble."""
    said = _COLOUR.sub("", said)
    places = list(_PLACE.finditer(said))
    if not places:
        return EngineError(f"the image can't be built: {error}", at="docker build", hint="lab doctor")
    last = [line.strip() for line in said.splitlines() if re.match(r"\w*(Error|Exception)\b", line)]
    what = last[-1] if last else error
    return UsageError(f"it can't be loaded: {what}", at=f"{places[-1]['file']}, line {places[-1]['line']}")


def _is_there(engine: APIClient, tag: str) -> bool:
    with engine_errors("look for an image", at=tag):
        try:
            engine.inspect_image(tag)
        except NotFound:
            return False
    return True
