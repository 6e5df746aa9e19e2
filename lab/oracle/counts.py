"""How much was compared, by promise: what makes a green verdict worth something."""

from __future__ import annotations

from collections import Counter

from lab.oracle import promises


class OwnAppCounts:
    """What users of somebody's own app came to do: why its comparisons could not have failed, where none could."""

    __slots__ = ("changes", "could_not_fail", "ended_early", "ended_whole", "logged_out", "logouts_early", "writes")

    def __init__(self) -> None:
        self.writes = 0
        """That the app accepted."""
        self.changes = 0
        """States that were read, differ from the one before, and could have been otherwise."""
        self.ended_whole = 0
        """Actions."""
        self.ended_early: Counter[str] = Counter()
        """Actions, by why they did."""
        self.could_not_fail: Counter[str] = Counter()
        """Comparisons, by why they could not."""
        self.logged_out = 0
        self.logouts_early: Counter[str] = Counter()
        """Logouts that claim nothing, by why."""

    def add(self, other: OwnAppCounts) -> None:
        """Count another's as well."""
        self.writes += other.writes
        self.changes += other.changes
        self.ended_whole += other.ended_whole
        self.ended_early += other.ended_early
        self.could_not_fail += other.could_not_fail
        self.logged_out += other.logged_out
        self.logouts_early += other.logouts_early

    def why_nothing(self) -> str:
        """Why no change was ever read back; empty where users have done nothing at all."""
        if self.ended_early and not self.ended_whole:
            return _always_early("act", self.ended_early)
        if not self.ended_whole:
            return ""
        if not self.writes:
            return "no write was accepted"
        if not self.changes:
            others = [why for why, _ in self.could_not_fail.most_common() if why.startswith("state()")]
            return others[0] if others else "the state never changed"
        return "no change was read back through another replica than the one that took it"

    def why_no_logout(self) -> str:
        """Why nobody logged out of those who would; empty where somebody did, or nobody would."""
        return "" if self.logged_out or not self.logouts_early else _always_early("log_out", self.logouts_early)


def _always_early(part: str, by_reason: Counter[str]) -> str:
    (why, _), *_ = by_reason.most_common(1)
    return f"{part} ended early in 100 % of its calls: {why}"


class CheckCounts:
    """Counters that all users' objects share; each is the number of comparisons that could have failed."""

    __slots__ = (
        "answers_owned",
        "devices_compared",
        "names_compared",
        "orders_found",
        "own_app",
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
        self.own_app = OwnAppCounts()

    def add(self, other: CheckCounts) -> None:
        """Count another's as well."""
        self.reads_compared += other.reads_compared
        self.writes_found += other.writes_found
        self.orders_found += other.orders_found
        self.requests_in_session += other.requests_in_session
        self.answers_owned += other.answers_owned
        self.names_compared += other.names_compared
        self.devices_compared += other.devices_compared
        self.own_app.add(other.own_app)

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
