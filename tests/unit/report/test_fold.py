"""The fold from a record to a page: the same however the record arrives, and true to it."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lab.clock import NS
from lab.model import Operation, Try
from lab.record import AnyEvent, PhaseBegan, Serving
from lab.report.events import AnyPageEvent, Counted, Ended, Hurt, Moved, NewRelease, Planned, Said, Sample, Served
from lab.report.fold import PageFold
from lab.report.merge import Item, Merge, time_of
from lab.report.plan import RunPlan
from tests.unit.report.making import MS, engine, in_time, read, records, step, strike

ANY_PAGE_EVENT: msgspec.json.Decoder[AnyPageEvent] = msgspec.json.Decoder(AnyPageEvent)


def tell(event: AnyEvent) -> str:
    return event.text if isinstance(event, PhaseBegan) else ""


def ended(t: float) -> Ended:
    return Ended(t=t, verdict="held", exit_code=0, lines=("HELD", "", ""), promises=())


def whole(plan: RunPlan, items: list[Item]) -> list[AnyPageEvent]:
    """A record folded at once."""
    fold = PageFold(plan, tell=tell)
    return [*(made for item in items for made in fold.take(item)), *fold.finish(ended)]


@given(record=records, data=st.data())
def test_a_run_that_goes_on_gives_what_its_replay_gives(
    plan: RunPlan, record: tuple[list[AnyEvent], list[Operation]], data: st.DataObject
) -> None:
    """Looked at every now and then, with both files as far as they are written, a run makes the same page."""
    events, operations = record
    merge, fold = Merge(), PageFold(plan, tell=tell)
    made: list[AnyPageEvent] = []
    shown_events = shown_operations = 0
    for until in sorted(data.draw(st.lists(st.integers(0, 8), max_size=6))):
        at = 5 * NS + until * NS
        ahead = at + data.draw(st.integers(0, 1000)) * MS  # lines that are there already, beyond what is complete
        due = [one for one in events[shown_events:] if one.at <= ahead]
        done = [one for one in operations[shown_operations:] if one.end <= ahead]
        shown_events, shown_operations = shown_events + len(due), shown_operations + len(done)
        merge.add(done)
        merge.add(due)
        for item in merge.take(at):
            made += fold.take(item)
        made += fold.until(at) if made else []
    merge.add(events[shown_events:])
    merge.add(operations[shown_operations:])
    for item in merge.take():
        made += fold.take(item)
    made += fold.finish(ended)
    assert made == whole(plan, in_time([*events, *operations]))


@given(record=records, data=st.data())
def test_any_prefix_of_a_record_folds(
    plan: RunPlan, record: tuple[list[AnyEvent], list[Operation]], data: st.DataObject
) -> None:
    """Whatever a killed lab leaves behind is shown: time never goes back, numbers are introduced before use."""
    items = in_time([*record[0], *record[1]])
    made = whole(plan, items[: data.draw(st.integers(0, len(items)))])
    assert isinstance(made[0], Planned)
    assert isinstance(made[-1], Ended)
    assert [one.t for one in made] == sorted(one.t for one in made)
    releases, users = 0, 0
    for one in made:
        match one:
            case NewRelease():
                assert one.i == releases
                releases += 1
            case Moved():
                assert one.release < releases
            case Sample():
                users += len(one.names)
                assert len(one.by) <= releases
                assert all(user < users and last < releases for user, last, _ in one.users)


@given(record=records)
def test_every_answer_is_drawn_once(plan: RunPlan, record: tuple[list[AnyEvent], list[Operation]]) -> None:
    """The bars of the page add up to the record."""
    made = whole(plan, in_time([*record[0], *record[1]]))
    answers = sum(1 for one in record[1] for a_try in one.tries if a_try.release is not None)
    samples = [one for one in made if isinstance(one, Sample)]
    assert sum(sum(one.by) for one in samples) == answers
    assert sum(sum(one.slots.values()) for one in samples) == answers
    assert sum(one.retries for one in samples) == sum(len(one.tries) - 1 for one in record[1])


@given(record=records)
def test_page_events_survive_the_wire(plan: RunPlan, record: tuple[list[AnyEvent], list[Operation]]) -> None:
    """What the page reads is what was made."""
    for one in whole(plan, in_time([*record[0], *record[1]])):
        assert ANY_PAGE_EVENT.decode(msgspec.json.encode(one)) == one


def states(made: list[AnyPageEvent]) -> list[tuple[str, str]]:
    return [(one.id, one.state) for one in made if isinstance(one, Moved)]


def test_an_upgrade_is_seen_as_it_goes(plan: RunPlan) -> None:
    """The new one starts beside the old one and serves before that drains and goes; its exit is no death."""
    items: list[Item] = [
        step(NS, "create", "a1-1"),
        step(2 * NS, "enter", "a1-1"),
        step(3 * NS, "create", "a1-3", "v2"),
        step(3 * NS, "start", "a1-3", "v2"),
        step(4 * NS, "enter", "a1-3", "v2"),
        step(4 * NS, "drain", "a1-1"),
        engine(5 * NS, "die", "a1-1"),
        step(6 * NS, "remove", "a1-1"),
    ]
    assert states(whole(plan, items)) == [
        ("a1-1", "starting"),
        ("a1-1", "serving"),
        ("a1-3", "starting"),
        ("a1-3", "serving"),
        ("a1-1", "draining"),
        ("a1-1", "gone"),
    ]


def test_a_death_that_nobody_planned_is_a_kill(plan: RunPlan) -> None:
    """Who dies without having been told to leave was killed; what the lab takes away at the end was not."""
    items: list[Item] = [
        step(NS, "enter", "a1-1"),
        step(NS, "enter", "b1-2"),
        strike(2 * NS, "a1-1"),
        engine(2 * NS, "die", "a1-1"),
        engine(3 * NS, "pause", "b1-2"),
        engine(4 * NS, "unpause", "b1-2"),
        PhaseBegan(at=5 * NS, name="clean up"),
        engine(6 * NS, "die", "b1-2"),
        Serving(at=6 * NS, by_release={}, total=0),
    ]
    made = whole(plan, items)
    assert states(made) == [
        ("a1-1", "serving"),
        ("b1-2", "serving"),
        ("a1-1", "killed"),
        ("b1-2", "frozen"),
        ("b1-2", "serving"),
    ]
    assert not [one for one in made if isinstance(one, Served)]


def test_a_users_loss_is_told_when_it_is_found(plan: RunPlan) -> None:
    """A cart that shows what nobody put in hurts its user, by number, once."""
    items: list[Item] = [read(NS, 1), read(2 * NS, 2, answer={"never added": 1}), read(3 * NS, 3)]
    made = whole(plan, items)
    [hurt] = [one for one in made if isinstance(one, Hurt)]
    assert (hurt.user, hurt.t) == (0, 1.02 - 0.02)
    *_, last = (one for one in made if isinstance(one, Counted))
    assert last.promises[hurt.promise][1] == 1


def test_a_retry_marks_its_user(plan: RunPlan) -> None:
    """A try that was repeated is seen on the user's square and in the sample."""
    cut = Try(begin=NS - 40 * MS, end=NS - 30 * MS, result="cut")
    made = whole(plan, [read(NS, tries=(cut, read(NS).tries[0]))])
    [sample] = [one for one in made if isinstance(one, Sample)]
    assert (sample.retries, sample.users) == (1, ((0, 0, 3),))


def test_sentences_come_from_whoever_tells_them(plan: RunPlan) -> None:
    """The page has no words of its own for what happened."""
    made = whole(plan, [PhaseBegan(at=NS, name="up", text="six replicas"), time_event()])
    assert [one.text for one in made if isinstance(one, Said)] == ["six replicas"]
    assert time_of(time_event()) == 2 * NS


def time_event() -> Serving:
    return Serving(at=2 * NS, by_release={"v1": 1}, total=1)
