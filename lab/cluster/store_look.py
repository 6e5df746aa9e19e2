"""Looks at a cluster's stores: which of them takes writes, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from docker import APIClient

from lab.cluster.engine_harm import victim_of
from lab.cluster.harm import Victim
from lab.cluster.stores import GROUP, SENTINEL_PORT
from lab.machine import labels
from lab.machine.engine import GONE_OR_SO, APIError, NotFound, engine_errors
from lab.model import Role

_HEALTH = ("--user", "health", "--pass", "health", "--no-auth-warning")
PING = ("redis-cli", *_HEALTH, "ping")
_ROLE = ("redis-cli", *_HEALTH, "role")
_SENTINEL = ("redis-cli", "-p", str(SENTINEL_PORT), *_HEALTH, "sentinel")
_ORDERS = ("pg_isready", "--host", "127.0.0.1", "--username", "shop")


class StoreLook:
    """Asks the stores of one project from inside their own containers; changes nothing.

    Of somebody's own stores it knows what their own health checks say, and that they run.
    """

    def __init__(self, engine: APIClient, *, project: str) -> None:
        self._engine, self._project = engine, project

    def primary(self) -> str:
        """The name of the store that takes writes now, by the Sentinels' word where there are any; "" if none says."""
        stores, sentinels = self._find(Role.STORE), self._find(Role.SENTINEL)
        if not sentinels:
            return next((one.name for one in stores), "")
        for one in sentinels:
            said = self._ask(one, (*_SENTINEL, "get-master-addr-by-name", GROUP)) if one.networks else ""
            address = said.partition("\n")[0]
            name = next((store.name for store in stores if store.address == address), "")
            if name:
                return name
        return ""

    def trouble(self) -> str:
        """What is wrong, "" if every store serves and is in step with the others."""
        sentinels, orders = self._find(Role.SENTINEL), self._find(Role.ORDERS)
        stores = self._find(Role.STORE)
        for one in (*stores, *sentinels, *orders):
            if not one.is_running or one.is_paused or not one.networks:
                return f"{one.name} is not back"
        for one in orders:
            if "accepting" not in self._ask(one, _ORDERS):
                return f"{one.name} takes no connections yet"
        if self._is_own_app():
            return next((f"{one.name} is not healthy" for one in stores if not self._is_healthy(one)), "")
        if not sentinels:
            return next((f"{one.name} does not answer" for one in stores if self._ask(one, PING) != "PONG"), "")
        return self._out_of_step(stores, sentinels)

    def _out_of_step(self, stores: Sequence[Victim], sentinels: Sequence[Victim]) -> str:
        name = self.primary()
        primary = next((one for one in stores if one.name == name), None)
        if primary is None:
            return "the Sentinels know no primary"
        said = self._ask(primary, _ROLE).split("\n")
        behind = [one.name for one in stores if one is not primary and one.address not in said]
        if said[0] != "master" or behind:
            return f"{', '.join(behind) or name} is not in step"
        for one in sentinels:
            knows = _pairs(self._ask(one, (*_SENTINEL, "master", GROUP)))
            told = (knows.get("ip"), knows.get("flags"), knows.get("num-slaves"), knows.get("num-other-sentinels"))
            if told != (primary.address, "master", str(len(stores) - 1), str(len(sentinels) - 1)):
                return f"{one.name} does not see all of the others"
        return ""

    def _is_own_app(self) -> bool:
        """Whether the stores are somebody's own, of which only they know what is well."""
        only = [f"{labels.PROJECT}={self._project}", f"{labels.ROLE}={Role.PATTERN.value}", labels.GATE]
        with engine_errors("look for the template container", at=self._project):
            return bool(self._engine.containers(all=True, filters={"label": only}))

    def _is_healthy(self, one: Victim) -> bool:
        with engine_errors(f"look at {one.name}", at=one.container[:12]):
            try:
                state = self._engine.inspect_container(one.container)["State"]
            except NotFound:
                return False
        return (state.get("Health") or {}).get("Status", "none") in {"none", "healthy"}

    def _find(self, role: Role) -> list[Victim]:
        only = [f"{labels.PROJECT}={self._project}", f"{labels.ROLE}={role.value}"]
        with engine_errors(f"find the {role}", at=self._project):
            found = self._engine.containers(all=True, filters={"label": only})
            read = []
            for one in found:
                try:
                    read.append(victim_of(self._engine.inspect_container(one["Id"]), self._project))
                except NotFound:
                    continue
        return sorted((one for one in read if one is not None), key=lambda one: one.name)

    def _ask(self, one: Victim, argv: Sequence[str]) -> str:
        """What a command in its container says; "" where it can't be asked now."""
        if not one.is_running or one.is_paused:
            return ""
        with engine_errors(f"ask {one.name}", at=one.container[:12]):
            try:
                made = self._engine.exec_create(one.container, list(argv), stderr=False)
                return str(self._engine.exec_start(made["Id"]).decode(errors="replace")).strip()
            except NotFound:
                return ""
            except APIError as exc:
                if exc.status_code not in GONE_OR_SO and "is paused" not in str(exc):
                    raise
                return ""


def _pairs(said: str) -> Mapping[str, str]:
    lines = said.split("\n")
    return dict(zip(lines[::2], lines[1::2], strict=False))
