"""How much was compared, by promise: what makes a green verdict worth something."""

from __future__ import annotations

from lab.oracle import promises


class CheckCounts:
    """Counters that all users' objects share; each is the number of comparisons that could have failed."""

    __slots__ = (
        "answers_owned",
        "devices_compared",
        "names_compared",
        "orders_found",
        "reads_compared",
        "requests_in_session",
        "writes_found",
    )

    def __init__(self) -> None:
        self.reads_compared = 0
        self.writes_found = 0
        self.orders_found = 0
        self.requests_in_session = 0
        self.answers_owned = 0
        self.names_compared = 0
        self.devices_compared = 0

    def by_promise(self) -> dict[str, int]:
        """The counts under the promises' names."""
        return {
            promises.STATE_KEPT: self.reads_compared,
            promises.APPLIED_ONCE: self.writes_found,
            promises.ORDERS_ONCE: self.orders_found,
            promises.LOGGED_IN: self.requests_in_session,
            promises.OWN_DATA: self.answers_owned,
            promises.NAME_REGISTER: self.names_compared,
            promises.DEVICES_AGREE: self.devices_compared,
        }
