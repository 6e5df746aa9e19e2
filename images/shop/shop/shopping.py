"""What people do in the shop: look around, fill a cart, order."""

from __future__ import annotations

from shop import fields
from shop.answers import Reply, json_text
from shop.belongings import Belongings
from shop.catalogue import ITEMS
from shop.front import Visit, granted


class Shopping:
    """The handlers of the catalogue, the history, the cart and the orders."""

    def __init__(self, belongings: Belongings) -> None:
        self._belongings = belongings

    async def browse(self, _visit: Visit) -> Reply:
        return Reply(body=json_text({"items": [item.summary() for item in ITEMS]}), page="home")

    async def show_item(self, visit: Visit) -> Reply:
        item = fields.item_of(visit.path["sku"])
        return Reply(body=json_text({"item": item.description()}), page="item")

    async def view(self, visit: Visit) -> Reply:
        item = fields.item_of(visit.path["sku"])
        outcome = await self._belongings.view(visit.who, visit.request(visit.who.account), sku=item.sku)
        return Reply(body=granted(outcome), onward=f"/items/{item.sku}")

    async def show_history(self, visit: Visit) -> Reply:
        return Reply(body=await self._belongings.history(visit.who), page="history")

    async def show_cart(self, visit: Visit) -> Reply:
        return Reply(body=await self._belongings.cart(visit.who), page="cart")

    async def add(self, visit: Visit) -> Reply:
        outcome = await self._belongings.add(
            visit.who,
            visit.request(visit.who.account),
            sku=fields.item_of(visit.fields.get("sku", "")).sku,
            quantity=fields.quantity_of(visit.fields),
            gift=fields.gift_of(visit.fields),
        )
        return Reply(body=granted(outcome), onward="/cart")

    async def remove(self, visit: Visit) -> Reply:
        line = fields.line_of(visit.path["line"])
        outcome = await self._belongings.remove(visit.who, visit.request(visit.who.account), line=line)
        return Reply(body=granted(outcome), onward="/cart")

    async def check_out(self, visit: Visit) -> Reply:
        outcome = await self._belongings.check_out(visit.who, visit.request(visit.who.account))
        return Reply(body=granted(outcome), onward="/orders")

    async def show_orders(self, visit: Visit) -> Reply:
        return Reply(body=await self._belongings.orders(visit.who), page="orders")
