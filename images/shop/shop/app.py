"""Puts the shop together: its parts, and which route leads to which of them."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shop import parts
from shop.answers import as_json
from shop.edge import Edge
from shop.features import features_of
from shop.front import Endpoint, Front, Handler, Visit
from shop.health import Health
from shop.identity import Identity
from shop.life import Life
from shop.orders import Orders
from shop.pages import Pages
from shop.settings import Settings
from shop.shopping import Shopping
from shop.spoilt import passwords_of
from shop.static import static_routes
from shop.store import Store


def build(
    settings: Settings, store: Store, life: Life, *, orders: Orders | None = None, now: Callable[[], float]
) -> Edge:
    """The whole shop as one ASGI app; `orders` if the store does not keep them; `now` is the time of day in seconds."""
    features = features_of(settings.release)
    sessions = parts.sessions_of(settings, store, features, now)
    belongings = parts.belongings_of(settings, store, features)
    if orders is not None:
        belongings.keep_orders_in(orders)
    shopping = Shopping(belongings)
    identity = Identity(
        store=store,
        sessions=sessions,
        belongings=belongings,
        passwords=passwords_of(settings.sabotage, log2_n=settings.scrypt_log2_n),
        features=features,
        now=now,
    )
    front = Front(sessions=sessions, pages=Pages(features=features, replica=settings.replica, zone=settings.zone))
    health = Health(settings=settings, store=store, life=life)
    app = Starlette(
        routes=[
            *_probe_routes(health),
            *_shopping_routes(front, shopping),
            *_identity_routes(front, identity),
            *static_routes(),
        ],
        exception_handlers={HTTPException: front.refuse, Exception: front.refuse},
    )
    app.router.redirect_slashes = False
    return Edge(parts.around(app, settings, now), life=life, replica=settings.replica, release=settings.deployed_as)


def _probe_routes(health: Health) -> list[Route]:
    def probe(handler: Handler) -> Endpoint:
        async def answer(_request: Request) -> Response:
            return as_json(await handler(Visit(token=None)))

        return answer

    return [Route("/healthz", probe(health.alive)), Route("/readyz", probe(health.ready))]


def _shopping_routes(front: Front, shopping: Shopping) -> list[Route]:
    return [
        Route("/", front.endpoint(shopping.browse, public=True)),
        Route("/items/{sku}", front.endpoint(shopping.show_item, public=True)),
        Route("/items/{sku}/view", front.endpoint(shopping.view), methods=["POST"]),
        Route("/history", front.endpoint(shopping.show_history)),
        Route("/cart", front.endpoint(shopping.show_cart)),
        Route("/cart", front.endpoint(shopping.add), methods=["POST"]),
        Route("/cart/{line}/remove", front.endpoint(shopping.remove), methods=["POST"]),
        Route("/checkout", front.endpoint(shopping.check_out), methods=["POST"]),
        Route("/orders", front.endpoint(shopping.show_orders)),
    ]


def _identity_routes(front: Front, identity: Identity) -> list[Route]:
    # Routes that end sessions are public, because what ended a session may be repeated without one.
    return [
        Route("/login", front.endpoint(identity.show_login, public=True)),
        Route("/login", front.endpoint(identity.log_in, public=True, is_login=True), methods=["POST"]),
        Route("/logout", front.endpoint(identity.log_out, public=True), methods=["POST"]),
        Route("/account", front.endpoint(identity.show_account)),
        Route("/account/name", front.endpoint(identity.rename), methods=["POST"]),
        Route("/devices", front.endpoint(identity.show_devices)),
        Route("/devices/end-all", front.endpoint(identity.end_all, public=True), methods=["POST"]),
        Route("/devices/{device}/end", front.endpoint(identity.end_device, public=True), methods=["POST"]),
    ]
