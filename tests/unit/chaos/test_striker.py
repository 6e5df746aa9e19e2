"""Strikes are written down before they are done, proved by the engine, kept within bounds, and undone by anybody."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lab import record
from lab.chaos.faults import FAULTS, Fault, cut_from, find_fault
from lab.chaos.guard import BlastRadius
from lab.chaos.striker import SURVIVED_AFTER
from lab.clock import FakeClock
from lab.cluster.harm import Pause, Start, Victim
from lab.errors import UsageError
from lab.model import Role
from lab.record import StrikeSource
from tests.unit.chaos.making import edge, replica, six_and_three, standing_of, striking

ON_REPLICAS = [fault for fault in FAULTS.values() if Role.APP in fault.hits]
LASTING = [fault for fault in ON_REPLICAS if fault.lasts]


@pytest.mark.parametrize("fault", ON_REPLICAS, ids=lambda fault: fault.name)
def test_a_strike_is_recorded_before_it_is_done_and_proved_after(fault: Fault, tmp_path: Path) -> None:
    """The record tells of the strike while nothing is done yet, and of the hit once the engine has said its word."""
    target, done_when_told = six_and_three(), []

    class Told(list[record.AnyEvent]):
        def append(self, event: record.AnyEvent) -> None:
            super().append(event)
            done_when_told.append(len(target.acts))

    events = Told()
    with striking(tmp_path, target, events=events) as striker:
        [struck] = striker.strike(fault, [replica("a1")], source=StrikeSource.STEP)
    assert struck.hit
    assert [type(one) for one in events] == [record.Strike, record.StrikeProved]
    assert done_when_told == [0, 1]
    [(container, _)] = target.acts
    assert container == replica("a1").container


@pytest.mark.parametrize("fault", ON_REPLICAS, ids=lambda fault: fault.name)
def test_what_the_engine_does_not_confirm_is_no_hit(fault: Fault, tmp_path: Path) -> None:
    """An engine that says nothing proves nothing."""
    target = six_and_three()
    target.is_silent = True
    with striking(tmp_path, target) as striker:
        [struck] = striker.strike(fault, [replica("a1")], source=StrikeSource.STEP)
    assert not struck.hit
    assert fault.proof in struck.why


def test_a_victim_that_served_nobody_is_no_hit(tmp_path: Path) -> None:
    """A replica without traffic may die without any user's noticing, which would prove nothing."""
    with striking(tmp_path, six_and_three(), evidence=lambda _: "") as striker:
        [struck] = striker.strike(FAULTS["kill"], [replica("a1")], source=StrikeSource.STEP)
    assert not struck.hit


def test_a_victim_that_is_gone_is_no_hit_and_leaves_nothing_open(tmp_path: Path) -> None:
    """It is read again by its full id just before."""
    target = six_and_three()
    gone = replica("a1", 7)
    with striking(tmp_path, target) as striker:
        [struck] = striker.strike(FAULTS["freeze"], [gone], source=StrikeSource.STEP)
        assert striker.heal() == []
    assert not struck.hit
    assert target.acts == []


@pytest.mark.parametrize("fault", LASTING, ids=lambda fault: fault.name)
@pytest.mark.parametrize("victim", [replica("a1"), edge("b")], ids=["replica", "edge"])
def test_another_process_undoes_what_a_killed_one_left(fault: Fault, victim: Victim, tmp_path: Path) -> None:
    """What is open is in the state, so it needs nobody's memory; everything is as it was before."""
    target = six_and_three()
    before = dict(target.there)
    with striking(tmp_path, target) as striker:
        striker.strike(fault, [victim], source=StrikeSource.STEP)
        assert target.there != before
    with striking(tmp_path, target) as another:
        [healed] = another.heal()
        assert victim.name in healed
        assert another.heal() == []
    assert target.there == before


def test_another_process_mends_a_cut_between_two(tmp_path: Path) -> None:
    """Whom it was from is in the state too; a victim that is gone by then leaves nothing open."""
    target = six_and_three()
    with striking(tmp_path, target, radius=BlastRadius(replicas=2)) as striker:
        for slot in ("a1", "a2"):
            [struck] = striker.strike(cut_from([edge("b")], "zone/b"), [replica(slot)], source=StrikeSource.STEP)
            assert struck.hit
    assert len(target.severed) == 2
    del target.there[replica("a2").container]
    with striking(tmp_path, target) as another:
        assert another.standing().missing == {"a1", "a2"}
        assert another.heal() == ["cut from zone/b of a1-1 is undone", "cut from zone/b of a2-1 is undone"]
        assert another.heal() == []
    assert {container for container, _ in target.severed} == {replica("a2").container}  # which went with its network


def test_a_cut_where_nobody_talks_is_no_hit(tmp_path: Path) -> None:
    """It is done, and undone, but nobody could have noticed it."""
    target = six_and_three()
    target.idle = True
    with striking(tmp_path, target) as striker:
        [struck] = striker.strike(cut_from([edge("b")], "zone/b"), [replica("a1")], source=StrikeSource.STEP)
        assert (struck.hit, struck.why) == (False, "the two had no connection")
        assert len(striker.heal()) == 1
    assert target.severed == set()


def test_a_cut_that_is_there_already_is_no_hit(tmp_path: Path) -> None:
    """And its undoing is left to whoever made it."""
    with striking(tmp_path, six_and_three(), radius=BlastRadius(replicas=2)) as striker:
        cut = cut_from([edge("b")], "zone/b")
        [first] = striker.strike(cut, [replica("a1")], source=StrikeSource.STEP)
        [second] = striker.strike(cut, [replica("a1")], source=StrikeSource.STEP)
        assert (first.hit, second.hit) == (True, False)
        assert second.why == "it was in that state already"
        assert len(striker.heal()) == 1


def test_a_halt_refuses_every_strike_and_lets_everything_be_undone(tmp_path: Path) -> None:
    """Somebody pulls the lever: nothing more is struck, not even a zone; what is open can be healed."""
    halted, target = [""], six_and_three()
    with striking(tmp_path, target, halted=lambda: halted[0]) as striker:
        striker.strike(FAULTS["freeze"], [replica("a1")], source=StrikeSource.STEP)
        halted[0] = "somebody"
        with pytest.raises(UsageError, match="halted by somebody"):
            striker.strike(FAULTS["kill"], [edge("a")], source=StrikeSource.STEP)
        with pytest.raises(UsageError, match="halted by somebody"):
            striker.lose_zone("b", cut_off=False, source=StrikeSource.STEP)
        assert len(striker.heal()) == 1
    assert target.there == six_and_three().there


def test_heal_finds_what_no_state_tells_of(tmp_path: Path) -> None:
    """A paused replica and a dead edge are seen on the engine itself; a dead replica is the deployer's business."""
    target = six_and_three()
    for one in (replica("a1"), edge("b"), replica("c1")):
        target.do(one.container, Pause() if one.slot == "a1" else FAULTS["kill"].do(one, "SIGKILL"))
    with striking(tmp_path, target) as striker:
        assert len(striker.heal()) == 2
    assert not target.there[replica("a1").container].is_paused
    assert target.there[edge("b").container].is_running
    assert not target.there[replica("c1").container].is_running


def test_a_second_replica_is_refused_while_one_is_away(tmp_path: Path) -> None:
    """The blast radius holds over strikes of any kind; one more replica allowed is one more strike."""
    target = six_and_three()
    with striking(tmp_path, target) as striker:
        striker.strike(FAULTS["freeze"], [replica("a1")], source=StrikeSource.STEP)
        with pytest.raises(UsageError, match="2 replicas would be away"):
            striker.strike(FAULTS["kill"], [replica("b1")], source=StrikeSource.STEP)
        striker.heal()
        striker.strike(FAULTS["kill"], [replica("b1")], source=StrikeSource.STEP)
    with striking(tmp_path, six_and_three(), radius=BlastRadius(replicas=2)) as wider:
        wider.strike(FAULTS["kill"], [replica("a1")], source=StrikeSource.STEP)
        wider.strike(FAULTS["kill"], [replica("b1")], source=StrikeSource.STEP)


def test_a_slow_word_of_who_serves_does_not_widen_the_radius(tmp_path: Path) -> None:
    """A replica that was just killed is away, even where the last word on who serves still names it."""
    target, told = six_and_three(), six_and_three()
    with striking(tmp_path, target, standing=lambda: standing_of(told)) as striker:
        striker.strike(FAULTS["kill"], [replica("a1")], source=StrikeSource.STEP)
        with pytest.raises(UsageError, match="2 replicas would be away"):
            striker.strike(FAULTS["kill"], [replica("b1")], source=StrikeSource.STEP)


def test_whoever_survives_its_signal_serves_again(tmp_path: Path) -> None:
    """A server that only reloads is no replica that is away for ever; one that ended is, whatever was last said."""
    target, told, clock = six_and_three(), six_and_three(), FakeClock(10**12)
    with striking(tmp_path, target, standing=lambda: standing_of(told), clock=clock) as striker:
        striker.strike(FAULTS["kill"], [replica("a1")], signal="SIGHUP", source=StrikeSource.STEP)
        assert "2 replicas would be away" in striker.refusal([replica("b1")])
        clock.sleep(SURVIVED_AFTER)
        assert striker.refusal([replica("b1")]) == ""
        striker.strike(FAULTS["kill"], [replica("b1")], source=StrikeSource.STEP)
        clock.sleep(SURVIVED_AFTER)
        assert "2 replicas would be away" in striker.refusal([replica("a1")])


def test_a_name_that_comes_again_is_another_replica(tmp_path: Path) -> None:
    """Who was struck is remembered by full id: its namesake serves, and the next strike is not refused for ever."""
    target = six_and_three()
    with striking(tmp_path, target) as striker:
        striker.strike(FAULTS["kill"], [replica("a1")], source=StrikeSource.STEP)
        namesake = msgspec.structs.replace(replica("a1"), container="f" * 64)
        target.there[namesake.container] = namesake
        assert striker.refusal([replica("b1")]) == ""


def test_a_second_tier_is_refused(tmp_path: Path) -> None:
    """A balancer is not struck while a replica is away, unless two tiers may be hurt at once."""
    with striking(tmp_path, six_and_three()) as striker:
        striker.strike(FAULTS["kill"], [replica("a1")], source=StrikeSource.STEP)
        with pytest.raises(UsageError, match="2 tiers"):
            striker.strike(FAULTS["kill"], [edge("b")], source=StrikeSource.STEP)


def test_too_few_left_is_refused(tmp_path: Path) -> None:
    """Whatever the radius: so many go on serving."""
    careful = BlastRadius(least_serving=6)
    with (
        striking(tmp_path, six_and_three(), radius=careful) as striker,
        pytest.raises(UsageError, match="5 replicas would go on serving"),
    ):
        striker.strike(FAULTS["kill"], [replica("a1")], source=StrikeSource.STEP)


@pytest.mark.parametrize("cut_off", [False, True], ids=["killed", "cut off"])
def test_a_lost_zone_is_everything_in_it_and_nothing_else(tmp_path: Path, *, cut_off: bool) -> None:
    """Its replicas and its edge at once; afterwards the edge is as before, and the loss is over in the state too."""
    target = six_and_three()
    before, events = dict(target.there), list[record.AnyEvent]()
    with striking(tmp_path, target, events=events) as striker:
        struck = striker.lose_zone("b", cut_off=cut_off, source=StrikeSource.STEP)
        assert {one.victim.name for one in struck} == {"b1-1", "b2-1", "balancer-b"}
        assert all(one.hit for one in struck)
        assert all(target.there[id_] == one for id_, one in before.items() if one.zone != "b")
        assert striker.standing().lost_zones == ("b",)
        with pytest.raises(UsageError, match="2 zones"):
            striker.lose_zone("c", cut_off=cut_off, source=StrikeSource.STEP)
        striker.regain_zone("b")
        assert striker.standing().lost_zones == ()
    after = {id_: one for id_, one in target.there.items() if one.role is Role.BALANCER or cut_off}
    assert after == {id_: one for id_, one in before.items() if id_ in after}
    assert type(events[0]) is record.ZoneLost
    assert type(events[-1]) is record.ZoneBack


def test_a_zone_may_be_lost_while_nothing_else_is_counted_against_it(tmp_path: Path) -> None:
    """Two replicas of a zone are one zone, not two replicas; a single strike elsewhere counts for itself."""
    with striking(tmp_path, six_and_three(), radius=BlastRadius(least_serving=3)) as striker:
        striker.lose_zone("b", cut_off=False, source=StrikeSource.STEP)
        striker.strike(FAULTS["kill"], [replica("a1")], source=StrikeSource.STEP)
        with pytest.raises(UsageError):
            striker.strike(FAULTS["kill"], [replica("c1")], source=StrikeSource.STEP)


def test_a_lost_zone_of_which_nothing_is_left_is_held_all_the_same(tmp_path: Path) -> None:
    """Where the only balancer stands outside it, its dead replicas are all there was, and they are removed."""
    target = six_and_three()
    with striking(tmp_path, target) as striker:
        striker.lose_zone("b", cut_off=False, source=StrikeSource.STEP)
        for one in [one for one in target.there.values() if one.zone == "b"]:
            del target.there[one.container]
        assert striker.hold_zone("b", cut_off=False, source=StrikeSource.STEP) == []
        with pytest.raises(UsageError, match="no such zone"):
            striker.in_zone("b")


def test_what_comes_up_in_a_lost_zone_is_struck_too(tmp_path: Path) -> None:
    """A replica that was being made when the zone was lost does not serve from there."""
    target = six_and_three()
    late = replica("b1", 2)
    with striking(tmp_path, target) as striker:
        striker.lose_zone("b", cut_off=False, source=StrikeSource.STEP)
        assert striker.hold_zone("b", cut_off=False, source=StrikeSource.STEP) == []
        target.there[late.container] = late
        [struck] = striker.hold_zone("b", cut_off=False, source=StrikeSource.STEP)
    assert struck.victim.name == "b1-2"
    assert not target.there[late.container].is_running


def test_an_unknown_zone_or_fault_is_told(tmp_path: Path) -> None:
    """With what there is instead."""
    with striking(tmp_path, six_and_three()) as striker, pytest.raises(UsageError, match="a, b, c"):
        striker.lose_zone("d", cut_off=False, source=StrikeSource.STEP)
    with pytest.raises(UsageError, match="squeeze"):
        find_fault("squeeeze", Role.APP)
    with pytest.raises(UsageError, match="can't be done"):
        find_fault("squeeze", Role.BALANCER)


def test_a_killed_edge_is_started_again_by_its_undoing(tmp_path: Path) -> None:
    """What is not multiplied comes back as the same container."""
    target = six_and_three()
    with striking(tmp_path, target) as striker:
        [struck] = striker.strike(FAULTS["kill"], [edge("a")], source=StrikeSource.STEP)
        striker.undo([struck.strike])
    assert target.acts[-1] == (edge("a").container, Start())


def test_a_frozen_run_strikes_and_undoes_nothing_more(tmp_path: Path) -> None:
    """Everything stays as it is at that moment, to be looked at; whoever comes later may heal it."""
    target = six_and_three()
    with striking(tmp_path, target) as striker:
        [struck] = striker.strike(FAULTS["freeze"], [replica("a1")], source=StrikeSource.STEP)
        striker.freeze()
        striker.undo([struck.strike])
        assert target.there[replica("a1").container].is_paused
        with pytest.raises(UsageError, match="was stopped"):
            striker.strike(FAULTS["kill"], [edge("a")], source=StrikeSource.STEP)
    with striking(tmp_path, target) as another:
        assert len(another.heal()) == 1
