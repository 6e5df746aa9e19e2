"""The judge: from what users did and what was done to the cluster, to findings and a verdict; no I/O anywhere."""

from lab.oracle.blame import blame
from lab.oracle.closing import RunFacts, closing_lines
from lab.oracle.oracle import Oracle, check
from lab.oracle.promises import PROMISES
from lab.oracle.service import Service, ServiceReport, ServiceRules
from lab.oracle.session import SessionLimits
from lab.oracle.verdict import ALWAYS_ASKED, Enough, Evidence, Judgement, gather, judge

__all__ = [
    "Oracle",
    "check",
    "SessionLimits",
    "Service",
    "ServiceReport",
    "ServiceRules",
    "gather",
    "judge",
    "Enough",
    "Evidence",
    "Judgement",
    "ALWAYS_ASKED",
    "PROMISES",
    "blame",
    "RunFacts",
    "closing_lines",
]
