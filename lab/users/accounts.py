"""How many users a crowd has and how they live, and the accounts that follow from that."""

from __future__ import annotations

import hashlib
import random
import re

from lab.errors import UsageError
from lab.model import Value
from lab.users.device import User


class CrowdSize(Value):
    """How many users there are and how they live."""

    users: int
    two_devices: float = 1 / 3
    """The share of users that have a second device, in use at the same time."""
    think: float = 1.0
    """Mean seconds between two actions of a device."""
    prefix: str = "user"
    """Accounts are `<prefix>-001` and so on. Each crowd that a store ever meets needs a prefix or numbers of its own:
    keys begin with them, and an app answers a key that it has seen before from what it stored."""
    first: int = 1
    """The number of the first of them: a later crowd at the same store counts on from an earlier one's."""
    part: int = 0
    parts: int = 1
    """Of `parts` that are as equal as can be only this one is there. Its users are who they would be in one crowd: an
    account is its devices, its password and its plans, wherever it lives."""
    logins_at_once: int = 8
    readers_at_once: int = 32


def plan_accounts(size: CrowdSize, chance: random.Random) -> tuple[int, list[tuple[User, int]]]:
    """The seed of everything that the users will draw, and each user with its number of devices.

    Draws from `chance` once. Raises UsageError for a size that can't be.
    """
    if size.users < 1 or not 0 <= size.two_devices <= 1 or size.think <= 0:
        raise UsageError("needs one user at least, a share from 0 to 1, a think time above 0", at="users")
    if not 0 <= size.part < min(size.parts, size.users):
        raise UsageError(f"there is no part {size.part} of {size.parts}", at="users", hint="fewer workers than users")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", size.prefix):
        raise UsageError(f"{size.prefix!r} can't begin an account's name", at="users.prefix", hint="user")
    seed = chance.getrandbits(64)
    doubled = round(size.users * size.two_devices)
    accounts = []
    first, last = (size.users * one // size.parts for one in (size.part, size.part + 1))
    for number in range(first + 1, last + 1):
        name = f"{size.prefix}-{size.first - 1 + number:03d}"
        password = hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()[:24]
        # spread evenly, so that the first users on a page show both sorts
        has_two = number * doubled // size.users > (number - 1) * doubled // size.users
        accounts.append((User(name, password), 2 if has_two else 1))
    return seed, accounts
