"""Cuts one container off from some addresses: a helper for a moment in its network, and what that helper said."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from docker import APIClient

from lab.cluster.tear_down import remove_container
from lab.errors import EngineError
from lab.machine import labels
from lab.machine.engine import APIError, NotFound, engine_errors
from lab.machine.labels import Identity

SEVER, MEND = "sever", "mend"
DONE, NOT_IN_USE, SO_ALREADY = 0, 3, 4
"""What it ends with; see images/cutter/cut.sh."""
WORDS = {(SEVER, DONE): "severed", (SEVER, NOT_IN_USE): "not connected", (MEND, DONE): "mended"}
"""What the end of a cutter means for the container in whose network it ran."""
ENDS_WITHIN = 20


def run_cutter(engine: APIClient, container: str, identity: Identity, act: str, addresses: Sequence[str]) -> bool:
    """Sever or mend in the network of `container`; False where it was in that state already, or that no longer runs.

    The helper may change that network and nothing else: it has no other right, and is removed however this ends.
    A killed lab's carries the labels of its cluster and goes with it.
    """
    body = _cutter(container, identity, _image(engine, identity.project), act, addresses)
    with engine_errors(f"{act} a container", at=container[:12]):
        made = engine.create_container_from_config(body, f"{identity.project}-cutter-{secrets.token_hex(4)}")["Id"]
        try:
            if not _start(engine, made, container):
                return False
            code = engine.wait(made, timeout=ENDS_WITHIN)["StatusCode"]
            said = engine.logs(made, tail=3).decode(errors="replace").strip()
        finally:
            remove_container(engine, made)
    if code not in {DONE, NOT_IN_USE, SO_ALREADY}:
        raise EngineError(
            f"can't {act} a container: the cutter ended with {code}: {said or 'no output'}",
            at=container[:12],
            hint="the engine's kernel needs nf_tables; without it: `cut` without `from`",
        )
    return bool(code != SO_ALREADY)


def _start(engine: APIClient, cutter: str, container: str) -> bool:
    """Let it go; False where its container has ended meanwhile, and its network with it."""
    try:
        engine.start(cutter)
    except APIError:
        if _runs(engine, container):
            raise
        return False
    return True


def _runs(engine: APIClient, container: str) -> bool:
    try:
        return bool(engine.inspect_container(container)["State"]["Running"])
    except NotFound:
        return False


def remove_cutters(engine: APIClient, project: str) -> None:
    """Remove what a killed lab left behind in the middle of a cut."""
    only = {"label": [f"{labels.PROJECT}={project}", f"{labels.ROLE}={labels.CUTTER}"], "status": ["created", "exited"]}
    with engine_errors("remove what cut", at=project):
        for one in engine.containers(all=True, filters=only):
            if labels.identity_of(one["Labels"]) is not None:
                remove_container(engine, one["Id"])


def word_of(attributes: Mapping[str, str], action: str) -> str:
    """What an event of a cutter says of its container, or ""."""
    if action != "die" or not attributes.get("exitCode", "").isdigit():
        return ""
    return WORDS.get((attributes.get(labels.CUT, ""), int(attributes["exitCode"])), "")


def _image(engine: APIClient, project: str) -> str:
    """As the cluster's pattern names it."""
    only = [f"{labels.PROJECT}={project}", labels.CUTTER_IMAGE]
    with engine_errors("look for the image of cutters", at=project):
        found = engine.containers(all=True, filters={"label": only})
    if not found:
        raise EngineError("this cluster names no image that could cut", at=project, hint="lab down, then lab up")
    return str(found[0]["Labels"][labels.CUTTER_IMAGE])


def _cutter(container: str, identity: Identity, image: str, act: str, addresses: Sequence[str]) -> dict[str, Any]:
    """The engine's create call."""
    return {
        "Image": image,
        "Cmd": [act, *addresses],
        "User": "0:0",  # a right is given to nobody else
        "Labels": {**identity.labels(labels.CUTTER), labels.CUT: act, labels.CUT_OFF: container},
        "HostConfig": {
            "NetworkMode": f"container:{container}",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "CapAdd": ["NET_ADMIN"],
            "SecurityOpt": ["no-new-privileges:true"],
            "Memory": 32 * 2**20,
            "PidsLimit": 16,
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
        },
    }
