"""Finds and removes what labs left behind, by labels alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from datetime import datetime

from docker import APIClient

from lab.errors import LabError, UsageError
from lab.machine import labels
from lab.machine.engine import NotFound, engine_errors
from lab.machine.labels import Identity
from lab.machine.layers import drop_images
from lab.machine.places import Places
from lab.model import Value

COMPOSE_PROJECT = "com.docker.compose.project"
FILES_LIVE = 24 * 3600
"""Seconds after which the files of a cluster that this engine does not have are nobody's."""


class Leftover(Value):
    """A cluster of the lab that is on this engine."""

    identity: Identity
    parts: int
    is_abandoned: bool
    """Its owner is gone, or its time is over and nothing is known of them: nobody will miss it."""


def find_clusters(engine: APIClient, *, now: datetime) -> list[Leftover]:
    """Every cluster of any lab on this engine, by the labels of its containers, networks and volumes."""
    parts: dict[Identity, int] = {}
    jobs: dict[Identity, str] = {}
    for carried in _all_labels(engine):
        identity = labels.identity_of(carried)
        if identity is not None:
            parts[identity] = parts.get(identity, 0) + 1
            jobs[identity] = carried.get(labels.JOB) or jobs.get(identity, "")
    return [
        Leftover(
            identity=identity,
            parts=count,
            is_abandoned=not labels.may_be_missed(identity, now) or _is_job_over(engine, identity, jobs[identity]),
        )
        for identity, count in sorted(parts.items(), key=lambda item: item[0].project)
    ]


def _is_job_over(engine: APIClient, identity: Identity, job: str) -> bool:
    """Whether the lab of a cluster was a container of this engine that runs no more.

    Its process is of another namespace than ours, and nothing could be known of it by its number.
    """
    if not job or identity.owner == labels.KEPT:
        return False
    with engine_errors("look whether a job goes on", at=job[:12]):
        try:
            return not engine.inspect_container(job)["State"]["Running"]
        except NotFound:
            return True


class SweepResult(Value):
    """What came of a sweep."""

    removed: tuple[str, ...]
    stuck: tuple[str, ...]
    """Why clusters are still there, in words."""


def sweep(found: Iterable[Leftover], remove: Callable[[str], list[str]]) -> SweepResult:
    """Let `remove` take these clusters down, by project; one that can't be removed keeps no other."""
    removed: list[str] = []
    stuck = []
    for leftover in found:
        try:
            removed += remove(leftover.identity.project)
        except LabError as exc:
            stuck.append(str(exc))
    return SweepResult(removed=tuple(removed), stuck=tuple(stuck))


def sweep_files(engine: APIClient, places: Places, *, now: datetime) -> list[str]:
    """Remove this checkout's files of clusters that no longer exist.

    A cluster that is not on this engine may only be about to be made, or be on another one (DOCKER_HOST): its files
    are left for as long as anybody's cluster may live.
    """
    there = {one.identity.project for one in find_clusters(engine, now=now)}
    kept = places.own / "clusters"
    others = [path for path in sorted(kept.iterdir()) if path.name not in there] if kept.is_dir() else []
    gone = [path for path in others if now.timestamp() - path.stat().st_mtime > FILES_LIVE]
    for path in gone:
        shutil.rmtree(path)
    return [f"folder {path}" for path in gone]


def remove_images(engine: APIClient) -> list[str]:
    """Remove every image that a lab has built on this engine; images in use stay."""
    return [f"image {tag}" for tag in drop_images(engine, [f"{labels.PROJECT}=images", f"{labels.ROLE}=image"])]


def check_name_is_free(engine: APIClient, project: str) -> None:
    """Raise UsageError where somebody's own Compose project bears this name: Compose would make its services anew."""
    carried = _all_labels(engine, f"{COMPOSE_PROJECT}={project}")
    if any(labels.identity_of(one) is None for one in carried):
        raise UsageError(
            "a Compose project of this name is here, and it is none of the lab's",
            at=f"--project {project}",
            hint=f"another name; or see what it is: docker ps -a --filter label={COMPOSE_PROJECT}={project}",
        )


def _all_labels(engine: APIClient, label: str = labels.PROJECT) -> Iterable[dict[str, str]]:
    only = {"label": [label]}
    with engine_errors("list what is on the engine"):
        for one in engine.containers(all=True, filters=only):
            yield one["Labels"]
        for network in engine.networks(filters=only):
            yield network["Labels"]
        for volume in engine.volumes(filters=only)["Volumes"] or ():
            yield volume["Labels"]
