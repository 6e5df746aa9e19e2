"""Logins to somebody's own app that never work where several replicas answer their requests, and do where one does."""

from __future__ import annotations

from lab.model import Finding, Kind, Operation, Outcome
from lab.oracle.breach import WITNESSES
from lab.oracle.promises import LOGGED_IN, Anomaly

LEAST_FAILED, LEAST_WELL = 5, 2
"""So many failures at least, and so many logins on one replica alone that worked."""
FITS = 0.9
"""The share of what failed that several replicas must have answered."""


class ScatteredLogins:
    """Fed with all operations in order; memory grows with the devices.

    A form that one replica made and another one refuses is no mistake of its user's, whatever the app says: that is
    claimed only where every login fails that meets several replicas, and some work that do not. What was not answered
    at all says nothing.
    """

    def __init__(self) -> None:
        self._chains: dict[str, list[Operation]] = {}
        """By device, what its login under way has asked for."""
        self._failed: dict[str, tuple[Operation, ...]] = {}
        """By user, the first login that failed so."""
        self._scattered = self._all_failed = self._well_alone = 0
        self._well_scattered = False

    def feed(self, operation: Operation) -> None:
        """The next operation of the record."""
        device = operation.device
        if operation.kind is Kind.BROWSE:
            self._chains.setdefault(device, []).append(operation)
        elif operation.kind is Kind.LOGIN and operation.is_conclusion:
            self._note(operation, self._chains.pop(device, []))

    def absorb(self, part: ScatteredLogins) -> None:
        """Take over what a part was fed, which is of other users."""
        self._failed |= part._failed
        self._scattered += part._scattered
        self._all_failed += part._all_failed
        self._well_alone += part._well_alone
        self._well_scattered |= part._well_scattered

    def _note(self, login: Operation, chain: list[Operation]) -> None:
        finals = [one.final for one in chain]
        if len(chain) < 2 or any(one.replica is None or not one.answered or one.result >= "5" for one in finals):
            return
        is_scattered = len({one.replica for one in finals}) > 1
        if login.outcome is Outcome.OK:
            self._well_scattered |= is_scattered
            self._well_alone += not is_scattered
            return
        self._all_failed += 1
        self._scattered += is_scattered
        if is_scattered:
            self._failed.setdefault(login.user, tuple(chain[-WITNESSES:]))

    def findings(self) -> tuple[Finding, ...]:
        """One for each user who was kept out so."""
        is_so = not self._well_scattered and self._well_alone >= LEAST_WELL and self._scattered >= LEAST_FAILED
        if not is_so or self._scattered < FITS * self._all_failed:
            return ()
        return tuple(
            Finding(
                promise=LOGGED_IN,
                anomaly=str(Anomaly.KEPT_OUT),
                user=user,
                at=chain[-1].end,
                why=f"{login_words(chain)}: of {self._scattered} logins that met several replicas none worked, of those"
                f" on one alone {self._well_alone}",
                witness=chain,
            )
            for user, chain in self._failed.items()
        )


def login_words(chain: tuple[Operation, ...]) -> str:
    """Who made the login's form, and who refused it."""
    refused = chain[-1].final.replica
    made = next((one.final.replica for one in reversed(chain) if one.final.replica != refused), refused)
    return f"login form by {made}, refused by {refused}"
