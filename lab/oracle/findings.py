"""The findings of a run as they grow: the first violation of each user's object, and who was hurt."""

from __future__ import annotations

from msgspec.structs import replace

from lab.model import Finding, Operation
from lab.oracle.breach import WITNESSES, Breach
from lab.oracle.promises import Anomaly

_REFINED = {Anomaly.LOST_WRITE: Anomaly.STALE_READ}


class Findings:
    """Grows only; an entry may get a more exact name later (what was lost is there again: it was a stale read)."""

    __slots__ = ("all", "hurt")

    def __init__(self) -> None:
        self.all: list[Finding] = []
        self.hurt: set[str] = set()

    def add(self, user: str, found: Breach) -> int:
        """Append a finding; its place, for `refine`."""
        self.all.append(
            Finding(
                promise=found.promise,
                anomaly=str(found.anomaly),
                user=user,
                at=max((operation.end for operation in found.witness), default=0),
                why=found.why,
                witness=found.witness,
            )
        )
        self.hurt.add(user)
        return len(self.all) - 1

    def refine(self, place: int, shown_again: Operation) -> None:
        """What the finding missed was shown again: nothing was lost, a read was stale."""
        finding = self.all[place]
        anomaly = next((to for of, to in _REFINED.items() if of == finding.anomaly), None)
        if anomaly is None:
            return
        witness = (*finding.witness, shown_again)
        self.all[place] = replace(
            finding,
            anomaly=str(anomaly),
            why=f"{finding.why}; a later read shows it again",
            witness=witness if len(witness) <= WITNESSES else finding.witness,
        )
