"""Whether this replica lives, and whether it should be sent to."""

from __future__ import annotations

from shop import patience
from shop.answers import Reply, json_text
from shop.front import Visit
from shop.life import Life
from shop.refusals import StoreUnavailable
from shop.settings import Settings
from shop.store import Store


class Health:
    """The handlers that probes ask; they answer JSON to everybody."""

    def __init__(self, *, settings: Settings, store: Store, life: Life) -> None:
        self._settings = settings
        self._store = store
        self._life = life

    async def alive(self, _visit: Visit) -> Reply:
        return Reply(body=b'{"alive":true}')

    async def ready(self, _visit: Visit) -> Reply:
        why = "draining" if self._life.draining else self._life.why
        if not why:
            patience.begin(patience.PROBE_SECONDS)
            try:
                await self._store.ask("PING")
            except StoreUnavailable as exc:
                why = f"store: {exc.why}"
        if why:
            return Reply(status=503, body=json_text({"ready": False, "why": why}))
        return Reply(
            body=json_text(
                {
                    "ready": True,
                    "replica": self._settings.replica,
                    "release": self._settings.deployed_as,
                    "slot": self._settings.slot,
                }
            )
        )
