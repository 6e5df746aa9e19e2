"""Which parts this build of the shop is made of: the one file that a build with other parts replaces."""

from __future__ import annotations

from collections.abc import Callable

from shop.belongings import Belongings
from shop.edge import App
from shop.features import Features
from shop.memory_sessions import MemorySessions
from shop.names import LONGEST_SECONDS
from shop.redis_sessions import RedisSessions
from shop.sessions import Sessions
from shop.settings import Settings
from shop.spoilt import AROUND, BELONGINGS, Unwarmed, spoilt_sessions
from shop.store import Store

SKEWED_SLOT = "a1"
"""Where the clock of a build with a skewed one goes wrong."""


def sessions_of(settings: Settings, store: Store, features: Features, now: Callable[[], float]) -> Sessions:
    """Where sessions are kept."""
    if settings.sessions == "memory":
        return MemorySessions(store, now=now)
    if settings.sabotage == "skewed_clock" and settings.slot == SKEWED_SLOT:
        return RedisSessions(store, session_format=features.session_format, now=lambda: now() + LONGEST_SECONDS)
    spoilt = spoilt_sessions(settings.sabotage, store, session_format=features.session_format, now=now)
    if spoilt is not None:
        return spoilt
    return RedisSessions(store, session_format=features.session_format, now=now)


def belongings_of(settings: Settings, store: Store, features: Features) -> Belongings:
    """What belongs to an account."""
    return BELONGINGS.get(settings.sabotage, Belongings)(store, features)


def around(app: App, settings: Settings, now: Callable[[], float]) -> App:
    """What every request passes before the shop sees it."""
    if settings.sabotage == "early_ready":
        return Unwarmed(app, now=now)
    spoil = AROUND.get(settings.sabotage)
    return spoil(app) if spoil else app


def why_not_ready(settings: Settings) -> str:
    """What this replica still waits for, beside its store; empty if for nothing."""
    return "built never to become ready" if settings.sabotage == "never_ready" else ""
