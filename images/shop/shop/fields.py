"""The fields that the shop understands, checked once where they come in."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shop.catalogue import BY_SKU, Item
from shop.guard import KEY
from shop.refusals import Refused

ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
DEVICE = re.compile(r"[0-9a-f]{12}")
QUANTITY = re.compile(r"[1-9]")
LONGEST_PASSWORD = 200
LONGEST_NAME = 80


def account_of(fields: Mapping[str, str]) -> str:
    """The account's name: what it consists of can be written into a key or an answer as it stands."""
    account = fields.get("account", "")
    if not ACCOUNT.fullmatch(account):
        raise Refused(400, "an account's name is 1 to 40 characters of A-Z a-z 0-9 . _ -")
    return account


def password_of(fields: Mapping[str, str]) -> str:
    """The password as it was typed."""
    password = fields.get("password", "")
    if not 1 <= len(password) <= LONGEST_PASSWORD:
        raise Refused(400, f"a password is 1 to {LONGEST_PASSWORD} characters")
    return password


def name_of(fields: Mapping[str, str]) -> str:
    """The display name, without blanks around it."""
    name = fields.get("name", "").strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise Refused(400, f"a name is 1 to {LONGEST_NAME} printable characters")
    return name


def item_of(sku: str) -> Item:
    """The item that is sold as `sku`."""
    try:
        return BY_SKU[sku]
    except KeyError:
        raise Refused(404, "the shop has no such item") from None


def quantity_of(fields: Mapping[str, str]) -> int:
    """How many of an item, 1 to 9."""
    quantity = fields.get("quantity", "")
    if not QUANTITY.fullmatch(quantity):
        raise Refused(400, "a quantity is a whole number from 1 to 9")
    return int(quantity)


def gift_of(fields: Mapping[str, str]) -> bool:
    """Whether a line is to be wrapped: a form's checkbox says "on"."""
    return fields.get("gift", "") in {"on", "true", "1"}


def line_of(text: str) -> str:
    """The id of a line in a cart."""
    if not KEY.fullmatch(text):
        raise Refused(404, "there is no such line")
    return text


def device_of(text: str) -> str:
    """The public id of a session."""
    if not DEVICE.fullmatch(text):
        raise Refused(404, "there is no such device")
    return text
