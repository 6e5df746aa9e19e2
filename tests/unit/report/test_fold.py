"""The fold from a record to a page: the same however the record arrives, and true to it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.clock import NS
from lab.model import Operation, Try
from lab.record import AnyEvent, ContainerEvent, PhaseBegan, Serving, StrikeUndone, ZoneBack, ZoneLost
from lab.report.events import (
    AnyPageEvent,
    Counted,
    Ended,
    Hurt,
    Moved,
    NewRelease,
    PageServed,
    Planned,
    Said,
    Sample,
    Turned,
    ZoneTurned,
)
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
@pytest.mark.slow
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
        ("a1-1", "standing by"),
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
    assert not [one for one in made if isinstance(one, PageServed)]


def test_who_gave_up_its_slot_stands_by_and_may_take_it_again(plan: RunPlan) -> None:
    """After a red-black move the old group lives and serves nobody; a reverse turns the two round."""
    items: list[Item] = [
        step(NS, "enter", "a1-1"),
        step(2 * NS, "enter", "a1-3", "v2"),
        step(3 * NS, "enter", "a1-1"),
        step(4 * NS, "drain", "a1-3", "v2"),
    ]
    assert states(whole(plan, items)) == [
        ("a1-1", "serving"),
        ("a1-3", "serving"),
        ("a1-1", "standing by"),
        ("a1-1", "serving"),
        ("a1-3", "standing by"),
        ("a1-3", "draining"),
    ]


def test_a_zone_that_is_cut_off_lives_and_comes_back(plan: RunPlan) -> None:
    """The engine says nothing that tells it apart: the strike does, and the end of the strike."""
    balancer = ContainerEvent(
        at=NS, action="start", container="id of n", name="balancer-b-1", role="balancer", zone="b", release="nginx"
    )
    items: list[Item] = [
        balancer,
        step(NS, "enter", "b1-2"),
        ZoneLost(at=2 * NS, zone="b", cut_off=True),
        strike(2 * NS, "b1-2", fault="cut"),
        msgspec.structs.replace(strike(2 * NS, "balancer-b", 2, fault="cut"), container="id of n"),
        StrikeUndone(at=3 * NS, strike=1, fault="cut", victim="b1-2"),
        StrikeUndone(at=3 * NS, strike=2, fault="cut", victim="balancer-b"),
        ZoneBack(at=3 * NS, zone="b"),
    ]
    made = whole(plan, items)
    assert states(made) == [("b1-2", "serving"), ("b1-2", "cut off"), ("b1-2", "serving")]
    turned = [(one.role, one.label, one.state) for one in made if isinstance(one, Turned)]
    assert turned == [("balancer", "nginx b", state) for state in ("up", "cut off", "up")]
    assert [(one.zone, one.state) for one in made if isinstance(one, ZoneTurned)] == [("b", "cut off"), ("b", "")]


def test_what_is_not_multiplied_dies_and_is_started_again(plan: RunPlan) -> None:
    """The store is seen up, frozen, down and up again; what the lab takes away at the end is not."""
    store = ContainerEvent(at=NS, action="create", container="s", name="store-1", role="store", release="redis")
    acts = ("create", "start", "pause", "unpause", "kill", "die", "start")
    items: list[Item] = [msgspec.structs.replace(store, at=NS * n, action=act) for n, act in enumerate(acts, 1)]
    items += [PhaseBegan(at=9 * NS, name="clean up"), msgspec.structs.replace(store, at=9 * NS, action="die")]
    items += [PhaseBegan(at=10 * NS, name="down"), msgspec.structs.replace(store, at=11 * NS, action="die")]
    turned = [one for one in whole(plan, items) if isinstance(one, Turned)]
    assert [one.state for one in turned] == ["up", "frozen", "up", "down", "up"]
    assert {(one.name, one.role, one.label) for one in turned} == {("store-1", "store", "redis")}


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
