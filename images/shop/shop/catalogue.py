"""What the shop sells: twelve things, the same in every release and on every replica."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One thing for sale; `price` is in cents, `art` names its drawing in static/items.svg."""

    sku: str
    name: str
    price: int
    about: str
    art: str

    def summary(self) -> dict[str, str | int]:
        """The item as answers list it."""
        return {"sku": self.sku, "name": self.name, "price": self.price}

    def description(self) -> dict[str, str | int]:
        """The item in full."""
        return asdict(self)


def _item(sku: str, name: str, price: int, about: str) -> Item:
    return Item(sku=sku, name=name, price=price, about=about, art=sku)


ITEMS: tuple[Item, ...] = (
    _item("teapot", "Stoneware teapot", 4800, "Holds four cups and short conversations."),
    _item("mug", "Enamel mug", 1450, "Chips with dignity. Safe on any stove or windowsill."),
    _item("lamp", "Desk lamp", 6900, "Three joints, one warm bulb, no app."),
    _item("notebook", "Dotted notebook", 1290, "192 pages that lie flat from the first one."),
    _item("pencils", "Tin of pencils", 1100, "A dozen, from 4H for plans to 6B for doubts."),
    _item("plant", "Potted fern", 2350, "Wants shade, water and to be left alone."),
    _item("clock", "Wall clock", 5400, "Sweeps instead of ticking. Runs a year on one cell."),
    _item("backpack", "Canvas backpack", 8900, "Waxed canvas, two pockets, room for two laptops."),
    _item("umbrella", "Walking umbrella", 3900, "Eight ribs of ash. Opens once, in the right direction."),
    _item("headphones", "Wired headphones", 7600, "Never out of battery. Never pairing."),
    _item("camera", "Pinhole camera", 5900, "A box, a hole, patience."),
    _item("kettle", "Whistling kettle", 4200, "Tells the whole house that the water is ready."),
)

BY_SKU = {item.sku: item for item in ITEMS}
