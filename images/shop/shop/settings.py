"""What one replica was told by its image and its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shop.spoilt import SABOTAGES

SESSIONS = ("redis", "memory")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """`slot` is None where the replica listens on TCP `port`; times are seconds."""

    release: str = "v1"
    sessions: str = "redis"
    sabotage: str = ""
    deployed_as: str = "v1"
    """What the cluster calls this release: builds that are spoilt on purpose carry another name than their code."""
    slot: str | None = None
    enters_when_told: bool = False
    """Whether the slot is taken on SIGUSR1 only; otherwise as soon as the replica is ready."""
    zone: str = "-"
    replica: str = "shop"
    port: int = 8000
    slots_folder: Path = Path("/run/slots")
    store_url: str = "redis://shop@store:6379/0"
    store_password_file: Path | None = None
    store_sentinels: str = ""
    """host:port of those who know the store's primary, separated by commas; empty: it is at `store_url`, always."""
    store_wait_ms: int = 0
    """How long an answer waits until a replica of the store has what it rests on; 0: it does not."""
    orders_url: str = ""
    """The orders' database; empty: the store keeps the orders."""
    orders_password_file: Path | None = None
    drain_seconds: float = 8.0
    scrypt_log2_n: int = 10
    """Cheap (1 MiB, about 3 ms) because a lab's crowd logs in all at once on two cores; a real shop wants 17."""


def settings_from(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` states; raises ValueError with the variable's name if one makes no sense."""
    slot = environ.get("LAB_SLOT") or None
    password_file = environ.get("STORE_PASSWORD_FILE")
    release = environ.get("SHOP_RELEASE", "v1")
    return Settings(
        release=release,
        deployed_as=environ.get("LAB_RELEASE", release),
        sessions=_one_of(environ, "SHOP_SESSIONS", SESSIONS),
        sabotage=_one_of(environ, "SHOP_SABOTAGE", SABOTAGES),
        slot=slot,
        enters_when_told=environ.get("LAB_ENTERS") == "told",
        zone=environ.get("LAB_ZONE", "-"),
        replica=environ.get("LAB_REPLICA", slot or "shop"),
        port=int(environ.get("PORT", "8000")),
        slots_folder=Path(environ.get("SLOTS_FOLDER", "/run/slots")),
        store_url=environ.get("STORE_URL", "redis://shop@store:6379/0"),
        store_password_file=Path(password_file) if password_file else None,
        store_sentinels=environ.get("STORE_SENTINELS", ""),
        store_wait_ms=int(environ.get("STORE_WAIT_MS", "0")),
        orders_url=environ.get("ORDERS_URL", ""),
        orders_password_file=Path(environ["ORDERS_PASSWORD_FILE"]) if environ.get("ORDERS_PASSWORD_FILE") else None,
        drain_seconds=float(environ.get("DRAIN_SECONDS", "8")),
        scrypt_log2_n=int(environ.get("SHOP_SCRYPT_LOG2_N", "10")),
    )


def _one_of(environ: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = environ.get(name, choices[0])
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, choices))}")
    return value
