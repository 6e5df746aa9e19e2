"""The conductor's side of a crowd that is divided among workers: the same controls as of one in this process."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Self

from msgspec.structs import replace

from lab import record
from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.errors import LabFault, WaitTimeout
from lab.model import Operation
from lab.users.accounts import CrowdSize, plan_accounts
from lab.users.counts import CrowdCounts, CrowdTally
from lab.users.device import User
from lab.users.tries import Tries
from lab.workers.line import Line
from lab.workers.link import Link
from lab.workers.merge import CrowdMerge
from lab.workers.messages import Begin, CrowdAct, Do

BEGINS_WITHIN = 60.0
"""Seconds for a worker to have its users ready, thousands of them."""
ASKED_EVERY = 0.5
"""Seconds between two looks at a worker's clock."""
MOST_UNCERTAIN = 0.1
"""Seconds by which a clock may be uncertain. With more, what was struck before what a user did is anybody's guess."""
ENDS_WITHIN = 30.0
"""Seconds for all that was done to arrive, once users have stopped."""
GRACE = 10.0
"""Seconds that the word of a worker may take, beside what it was given for what it does."""


class SharedCrowd:
    """As `Crowd`, whose controls it has: users in workers, each of which has every so-manieth account.

    `on_operation` is told what all of them did, in the order of the ends by this process's clock, in one thread at a
    time. A worker that ends, is silent or tells what can't be is a LabFault of the whole crowd: what its users did is
    not all in the record. The same `seed` gives the same accounts and plans as `Random(seed)` to one crowd.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        size: CrowdSize,
        *,
        doors: Sequence[tuple[str, int]],
        seed: int,
        on_operation: Callable[[Operation], None],
        report: Callable[[record.AnyEvent], None],
        policy: Tries | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._clock, self._report = clock, report
        self._on_operation = on_operation
        accounts = plan_accounts(size, Random(seed))[1]
        self.users: Sequence[User] = tuple(user for user, _ in accounts)
        self._devices = sum(devices for _, devices in accounts)
        self._tally = CrowdTally(clock=clock)
        merge = CrowdMerge(len(lines), self._take)
        self._links = [Link(line, number, merge, clock) for number, line in enumerate(lines)]
        at_once = max(1, size.logins_at_once // len(lines))
        self._begins = [
            Begin(
                size=replace(size, part=number, parts=len(lines), logins_at_once=at_once),
                tries=policy or Tries(),
                doors=tuple(doors),
                seed=seed,
            )
            for number in range(len(lines))
        ]
        self._ending = threading.Event()
        self._asking = threading.Thread(target=self._ask_clocks, name="clocks of workers", daemon=True)
        self._acts = 0
        self._has_stopped = False

    # the conductor's controls

    def start(self) -> None:
        """Let every worker have its users ready; nothing is sent yet. Raises LabFault where one can't."""
        with ThreadPoolExecutor(len(self._links)) as pool:
            began = list(pool.map(lambda link: link.begin(self._begins[link.number], BEGINS_WITHIN), self._links))
        for link, its in zip(self._links, began, strict=True):
            self._report(
                record.WorkerBegan(
                    at=self._clock.now(),
                    worker=link.number + 1,
                    where=link.place,
                    users=its.users,
                    devices=its.devices,
                    offset=link.clocks.offset,
                    uncertainty=link.clocks.uncertainty,
                )
            )
        self._asking.start()

    def log_in(self, within: float, nobody_is_in: Callable[[], Awaitable[str]] | None = None) -> None:  # noqa: ARG002
        """As of `Crowd`; users of the lab's own shop alone are divided, whom nobody needs to try out."""
        self._all(CrowdAct.LOG_IN, within, within=within)

    def shop(self) -> None:
        """As of `Crowd`."""
        self._all(CrowdAct.SHOP)

    def hurry(self, think: float) -> None:
        """As of `Crowd`."""
        self._all(CrowdAct.HURRY, think)

    def settle(self, within: float) -> None:
        """As of `Crowd`."""
        self._all(CrowdAct.SETTLE, within, within=within)

    def read_back(self, within: float) -> str:
        """As of `Crowd`."""
        return "; ".join(filter(None, self._all(CrowdAct.READ_BACK, within, within=within)))

    def counts(self) -> CrowdCounts:
        """As of `Crowd`, by what was told until now."""
        for link in self._links:
            self._tally.late(link.counted.worst_lag)
        return self._tally.counts(
            users=len(self.users),
            devices=self._devices,
            logged_in=sum(link.counted.logged_in for link in self._links),
            in_flight=sum(link.counted.in_flight for link in self._links),
        )

    def check(self) -> None:
        """Raise what went wrong inside a worker, or on the way to it, if something did."""
        for link in self._links:
            link.check()
            if link.clocks.uncertainty > MOST_UNCERTAIN * NS:
                uncertain = link.clocks.uncertainty / NS
                raise LabFault(
                    f"the clock of worker {link.number + 1} is uncertain by {uncertain:.2f} s, so that nobody knows"
                    " what was struck before what its users did",
                    at=link.where,
                    hint="fewer users, or a quieter machine",
                )

    def stop(self) -> str:
        """As of `Crowd`: every worker ends, and the record is told how each did. `check` tells what went wrong."""
        if self._has_stopped:
            return ""
        self._has_stopped = True
        self._ending.set()
        with ThreadPoolExecutor(len(self._links)) as pool:
            stuck = list(pool.map(lambda link: link.stop(ENDS_WITHIN), self._links))
        for link in self._links:
            self._report(
                record.WorkerEnded(
                    at=self._clock.now(),
                    worker=link.number + 1,
                    operations=link.received,
                    uncertainty=link.clocks.uncertainty,
                    lost=link.lost,
                    heard_until=link.heard_until,
                )
            )
        return "; ".join(filter(None, stuck))

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.stop()
        if error is None:
            self.check()

    # in threads of the links

    def _take(self, operation: Operation) -> None:
        self._tally.ended(operation)
        self._on_operation(operation)

    def _all(self, act: CrowdAct, value: float = 0.0, *, within: float = 0.0) -> list[str]:
        """Let every worker do it, and wait for all; what each said. Raises the first error of theirs."""
        self.check()
        self._acts += 1
        do = Do(number=self._acts, act=act, value=value)
        waits = [link.tell(do) for link in self._links]
        until = self._clock.now() + int((within + GRACE) * NS)
        said = []
        for link, waited in zip(self._links, waits, strict=True):
            left = max(0.0, (until - self._clock.now()) / NS)
            try:
                said.append(waited.result(left))
            except TimeoutError as exc:
                self.check()
                raise WaitTimeout(f"worker {link.number + 1} did not {act} in time", at=link.where) from exc
        self.check()
        return said

    def _ask_clocks(self) -> None:
        while not self._ending.wait(ASKED_EVERY):
            for link in self._links:
                link.ask_clock()
