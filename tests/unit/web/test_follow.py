"""A record that is being written is shown as it grows, and ends with its verdict."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lab.clock import NS, SYSTEM_CLOCK
from lab.errors import RecordError
from lab.model import Slot
from lab.record import FollowedRecord, PhaseBegan, ReadRecord, RunRecord
from lab.report.events import AnyPageEvent, Ended, Planned, Said, Sample
from lab.report.fold import PageFold
from lab.report.plan import RunPlan
from lab.report.replay import replay
from lab.retry import wait_until
from lab.web import Feed, Follower
from lab.web.follow import Ending
from tests.unit.report.making import read

PLAN = RunPlan(
    run="r", name="n", title="t", about="", seed=1, slots=(Slot(name="a1", zone="a"),), users=2, asked=("tries",)
)
DECODER: msgspec.json.Decoder[AnyPageEvent] = msgspec.json.Decoder(AnyPageEvent)


def fold() -> PageFold:
    return PageFold(PLAN, tell=lambda event: event.text if isinstance(event, PhaseBegan) else "")


def ended(t: float) -> Ended:
    return Ended(t=t, verdict="held", exit_code=0, lines=("HELD",), promises=())


def shown(feed: Feed) -> list[AnyPageEvent]:
    return [DECODER.decode(line) for line in feed.after(0, wait=0)[0]]


@pytest.mark.slow
def test_a_run_is_shown_while_it_goes_on_and_ends_with_its_verdict(tmp_path: Path) -> None:
    """What the page got live is, event for event, what a replay of the record gives."""
    folder, feed = tmp_path / "run", Feed()
    judged: list[Ending] = []
    with (
        RunRecord(folder) as record,
        Follower(folder, fold, lambda: judged[0] if judged else None, feed) as follower,
    ):
        record.event(PhaseBegan(at=SYSTEM_CLOCK.now(), name="up", text="it begins"))
        for number in range(100):
            record.operation(read(SYSTEM_CLOCK.now(), number, number % 2))

        def is_shown() -> bool:
            record.flush_due()
            answers = sum(sum(one.by) for one in shown(feed) if isinstance(one, Sample))
            return answers == 100 and any(isinstance(one, Said) for one in shown(feed))

        wait_until("all of it is shown", is_shown, within=5, every=0.02)
        assert not follower.wait(0)
        assert not feed.is_over
        record.close()
        judged.append(ended)
        assert follower.wait(5)
    again = fold()
    assert shown(feed) == [*replay(ReadRecord(folder), again), *again.finish(ended)]
    assert feed.is_over


def test_a_record_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    """The page may be opened before the run has written anything."""
    feed, ready = Feed(), list[PageFold]()
    with Follower(tmp_path / "run", lambda: ready[0] if ready else None, lambda: None, feed) as follower:
        assert not follower.wait(0.3)
        with RunRecord(tmp_path / "run") as record:
            record.event(PhaseBegan(at=SYSTEM_CLOCK.now() - NS, name="up"))
            ready.append(fold())
            wait_until("it is shown", lambda: len(feed) > 0, within=5, every=0.02)
    assert isinstance(shown(feed)[0], Planned)


def test_a_record_that_cant_be_read_stops_the_page_and_says_so(tmp_path: Path) -> None:
    """On the page and where the lab was called; the run goes on without it."""
    (tmp_path / "events.jsonl").write_bytes(b"{}\n")
    feed, said = Feed(), list[str]()
    with Follower(tmp_path, fold, lambda: None, feed, say=said.append) as follower:
        assert follower.wait(5)
    [told] = shown(feed)
    assert isinstance(told, Said)
    assert "the page stopped" in told.text
    assert said == [told.text]


def test_only_whole_lines_are_read_and_each_once(tmp_path: Path) -> None:
    """A line that is half written is left for the next look."""
    line = msgspec.json.encode(PhaseBegan(at=1, name="up")) + b"\n"
    followed = FollowedRecord(tmp_path)
    assert followed.events() == []
    with (tmp_path / "events.jsonl").open("wb", buffering=0) as file:
        file.write(line + line[:7])
        assert len(followed.events()) == 1
        assert followed.events() == []
        file.write(line[7:])
        assert len(followed.events()) == 1
    (tmp_path / "history.jsonl").write_bytes(b"nonsense\n")
    with pytest.raises(RecordError, match="history"):
        followed.operations()


def test_what_waits_for_its_batch_is_written_with_the_next_event(tmp_path: Path) -> None:
    """Whoever follows the record never sees an event before the operations that ended before it."""
    with RunRecord(tmp_path / "run") as record:
        followed = FollowedRecord(tmp_path / "run")
        record.operation(read(NS, 0))
        record.operation(read(NS, 1))
        record.event(PhaseBegan(at=2 * NS, name="down"))
        assert len(followed.operations()) == 2
