"""The names under which the shop keeps things in the store; the number is the layout's version."""

from __future__ import annotations

PREFIX = "shop:1:"
STEP = PREFIX + "step"
"""A channel to which nobody listens: what is published there is a mark in the stream that replicas follow."""
SESSION_PREFIX = PREFIX + "session:"

# What is kept how long, in seconds. Keys of what was done outlive every try of a client's; kept for a day they would
# fill the store in an hour of many users.
DONE_SECONDS = 15 * 60
IDLE_SECONDS = 30 * 60
LONGEST_SECONDS = 12 * 3600
FAILURE_WINDOW_SECONDS = 60


def session(digest: str) -> str:
    """One session's text, named by the SHA-256 of its token."""
    return SESSION_PREFIX + digest


def devices(account: str) -> str:
    """Hash of the account's sessions: device id to the session's digest."""
    return f"{PREFIX}devices:{account}"


def ended(digest: str) -> str:
    """Whose session that was, kept after its end so that the request that ended it can be repeated."""
    return f"{PREFIX}ended:{digest}"


def done(account: str, key: str) -> str:
    """What was answered to the state change with this idempotency key."""
    return f"{PREFIX}done:{account}:{key}"


def account(account_name: str) -> str:
    """Hash with the account's password, display name and count of views."""
    return f"{PREFIX}account:{account_name}"


def failures(account_name: str) -> str:
    """How many logins failed, or are being tried, in the current window."""
    return f"{PREFIX}failures:{account_name}"


def history(account_name: str) -> str:
    """List of viewed items, oldest first."""
    return f"{PREFIX}history:{account_name}"


def cart(account_name: str) -> str:
    """List of the cart's lines in order of adding."""
    return f"{PREFIX}cart:{account_name}"


def outbox(account_name: str) -> str:
    """List of orders that the orders' database may not have yet, oldest first."""
    return f"{PREFIX}outbox:{account_name}"


def orders(account_name: str) -> str:
    """List of orders, oldest first."""
    return f"{PREFIX}orders:{account_name}"
