"""Users at work, from their logins until everybody has read back all that is theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from lab import record
from lab.clock import Clock
from lab.run.first_try import FirstTry
from lab.run.run_state import RunState
from lab.run.supervisor import Supervisor
from lab.users import CrowdControls

LOG_IN_WITHIN = 60.0
SETTLE_WITHIN = 30.0
READ_BACK_WITHIN = 60.0


@contextmanager
def at_work(
    crowd: CrowdControls,
    seen: RunState,
    supervisor: Supervisor,
    clock: Clock,
    *,
    where: str,
    slower: float = 0.0,
    first_try: FirstTry | None = None,
) -> Iterator[None]:
    """Users who are logged in and act while the block runs; then everybody reads back, unless it raised.

    With `first_try` one user tries the journey before. Each of the three phases may take `slower` seconds more than
    usual.
    Raises WaitTimeout where one takes longer.
    """

    def begin(name: str, text: str) -> None:
        seen.report(record.PhaseBegan(at=clock.now(), name=name, text=text))
        supervisor.show()

    in_background = partial(supervisor.in_background, within=LOG_IN_WITHIN + READ_BACK_WITHIN + slower)
    begin("log in", f"{len(crowd.users)} users log in at {where}")
    nobody_is_in = None
    if first_try is not None:
        in_background("one user tries it", first_try.run)
        nobody_is_in = partial(first_try.nobody_is_in, crowd.users[0])
    in_background("everybody logs in", lambda: crowd.log_in(LOG_IN_WITHIN + slower, nobody_is_in))
    crowd.shop()
    yield
    begin("settle", "no new actions; what is in flight ends")
    in_background("everybody settles", lambda: crowd.settle(SETTLE_WITHIN + slower))
    begin("read back", "every device reads back all that is its user's")
    unread = in_background("everybody reads back", lambda: crowd.read_back(READ_BACK_WITHIN + slower))
    for what in filter(None, (unread, crowd.counts().late)):
        seen.report(record.Trouble(at=clock.now(), what=what))
