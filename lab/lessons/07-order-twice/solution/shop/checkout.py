"""How an order is placed: what may be repeated first, then all that must happen once, in one step."""

from __future__ import annotations

from shop import names
from shop.payment import pay
from shop.sessions import Living, Outcome, Request
from shop.store import Store


async def check_out(store: Store, who: Living, request: Request) -> Outcome:
    """Turn the whole cart into one order, or into none if it is empty.

    The script remembers under the request's key what it answered, and does that, the order and the emptying of the
    cart together or not at all. Asked again, it does nothing and answers the same.
    """
    await pay(request.key)
    how, answer = await store.run(
        "checkout",
        keys=[
            names.done(who.account, request.key),
            who.witness,
            names.cart(who.account),
            names.orders(who.account),
        ],
        arguments=[
            request.fingerprint,
            names.DONE_SECONDS,
            f'{{"account":"{who.account}","order":"{request.key}","lines":[',
            f'{{"account":"{who.account}","order":null,"lines":[]}}',
            f'{{"id":"{request.key}","lines":[',
        ],
    )
    return Outcome(how=how.decode(), answer=answer)
