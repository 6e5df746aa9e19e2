"""What the deployer decides, for every shape a cluster can be in."""

from __future__ import annotations

import msgspec

from lab.clock import NS
from lab.deploy.plan import Act, ClusterLook, Decision, Why, decide
from lab.deploy.target import SlotTarget, SlotTargets
from lab.model import Replica, ReplicaState
from tests.unit.deploy.conftest import replica

NAMES = ("a1", "b1", "c1")
STEADY = SlotTargets(slots={name: SlotTarget(serve="v1") for name in NAMES}, at_once=3)
TO_V2 = SlotTargets(slots={name: SlotTarget(serve="v2") for name in NAMES}, fallback="v1", unproven="v2")
V1 = (replica("a1", 1), replica("b1", 2), replica("c1", 3))
NEW = replica("a1", 4, "v2")


def look(*replicas: Replica, **seen: object) -> ClusterLook:
    """All running ones are ready, and each slot belongs to the oldest of them, unless said otherwise."""
    running = [one for one in replicas if one.state is ReplicaState.RUNNING]
    holders: dict[str, str] = {}
    for one in running:
        holders.setdefault(one.slot, one.name)
    found = ClusterLook(
        at=100 * NS,
        replicas=replicas,
        ready=frozenset(one.name for one in running),
        holders=holders,
        held=frozenset(NAMES),
    )
    return msgspec.structs.replace(found, **seen)


def acts(decision: Decision) -> list[tuple[Act, str]]:
    return [(step.act, step.replica.name if step.replica else step.slot) for step in decision.steps]


def test_an_empty_cluster_gets_a_replica_for_every_slot() -> None:
    """With nothing there, every slot is filled at once with the wanted release, for the first time."""
    decision = decide(look(held=frozenset()), STEADY)
    assert acts(decision) == [(Act.CREATE, "a1"), (Act.CREATE, "b1"), (Act.CREATE, "c1")]
    assert {(step.release, step.why) for step in decision.steps} == {("v1", Why.FIRST)}


def test_a_settled_cluster_is_left_alone() -> None:
    """One ready replica of the wanted release has each slot: nothing to do."""
    decision = decide(look(*V1), STEADY)
    assert decision.is_settled
    assert decision.steps == ()


def test_a_ready_replica_enters_only_when_it_is_told() -> None:
    """Readiness and rotation are two steps: what is ready without a slot is sent into it."""
    decision = decide(look(*V1, holders={"b1": "b1-2", "c1": "c1-3"}), STEADY)
    assert acts(decision) == [(Act.ENTER, "a1-1")]


def test_an_upgrade_begins_with_one_newcomer() -> None:
    """N+1 at the peak: only one slot at a time gets a second replica, and nobody is stopped for it."""
    decision = decide(look(*V1), TO_V2)
    assert acts(decision) == [(Act.CREATE, "a1")]
    assert decision.steps[0].release == "v2"


def test_the_old_replica_stays_until_the_new_one_is_ready() -> None:
    """While the newcomer is not ready, the serving one is not touched, and no other slot is begun."""
    assert decide(look(*V1, NEW, ready=frozenset({"a1-1", "b1-2", "c1-3"})), TO_V2).steps == ()


def test_the_newcomer_takes_the_slot_before_the_old_one_drains() -> None:
    """First it enters; only when the balancer sends to it is the old one told to leave, once."""
    entering = look(*V1, NEW)
    assert acts(decide(entering, TO_V2)) == [(Act.ENTER, "a1-4")]
    entered = look(*V1, NEW, holders={"a1": "a1-4", "b1": "b1-2", "c1": "c1-3"})
    assert acts(decide(entered, TO_V2)) == [(Act.DRAIN, "a1-1")]
    told = msgspec.structs.replace(entered, drained_at={V1[0].container: 99 * NS})
    assert decide(told, TO_V2).steps == ()


def test_a_drain_that_takes_too_long_is_ended() -> None:
    """After its grace a draining replica is killed."""
    holders = {"a1": "a1-4", "b1": "b1-2", "c1": "c1-3"}
    seen = look(*V1, NEW, holders=holders, drained_at={V1[0].container: 80 * NS})
    assert acts(decide(seen, TO_V2)) == [(Act.STOP, "a1-1")]


def test_in_place_the_old_one_leaves_first() -> None:
    """Drain, then move: never more replicas than slots, and one slot at a time."""
    in_place = msgspec.structs.replace(TO_V2, in_place=True)
    assert acts(decide(look(*V1), in_place)) == [(Act.DRAIN, "a1-1")]
    left = look(*V1[1:], replica("a1", 1, state=ReplicaState.DEAD))
    decision = decide(left, in_place)
    assert acts(decision) == [(Act.REMOVE, "a1-1"), (Act.CREATE, "a1")]
    assert decision.steps[1].release == "v2"


def test_a_dead_replica_is_replaced_before_anything_is_upgraded() -> None:
    """A gap comes first; before the new release has proven itself, the old one fills it."""
    dead = replica("b1", 2, state=ReplicaState.DEAD)
    decision = decide(look(V1[0], dead, V1[2]), TO_V2)
    assert acts(decision) == [(Act.REMOVE, "b1-2"), (Act.CREATE, "b1")]
    assert (decision.steps[1].release, decision.steps[1].why) == ("v1", Why.REPLACEMENT)


def test_a_gap_is_filled_with_the_new_release_once_that_is_proven() -> None:
    """A replica of the new release is ready, so the gap's replacement is an upgrade too."""
    dead = replica("b1", 2, state=ReplicaState.DEAD)
    assert decide(look(NEW, dead, V1[2]), TO_V2).steps[1].release == "v2"


def test_a_newcomer_that_never_gets_ready_is_given_up() -> None:
    """Not ready in time: it is stopped and named as failed; the serving replica is left alone."""
    seen = look(*V1, NEW, ready=frozenset({"a1-1", "b1-2", "c1-3"}), started_at={NEW.container: 60 * NS})
    decision = decide(seen, TO_V2)
    assert acts(decision) == [(Act.STOP, "a1-4")]
    assert decision.failed == NEW


def test_a_created_replica_is_started() -> None:
    """A deployer that died between creating and starting is the same as one that did not."""
    made = replica("a1", 4, "v2", ReplicaState.CREATED)
    assert acts(decide(look(*V1, made), TO_V2)) == [(Act.START, "a1-4")]


def test_a_pause_is_kept_between_two_upgrades() -> None:
    """The next slot is not begun before the pause since the last one is over."""
    seen = look(NEW, *V1[1:], upgraded_at=99 * NS)
    assert decide(seen, msgspec.structs.replace(TO_V2, pause=5.0)).steps == ()
    assert acts(decide(seen, msgspec.structs.replace(TO_V2, pause=0.5))) == [(Act.CREATE, "b1")]


def test_a_replica_in_a_slot_that_is_no_more_drains() -> None:
    """Scaling in never kills: what has no slot any more is told to leave."""
    decision = decide(look(*V1, replica("d1", 4)), STEADY)
    assert acts(decision) == [(Act.DRAIN, "d1-4")]
    assert decision.steps[0].why is Why.SCALE


def test_what_was_scaled_in_is_waited_for_until_it_has_left() -> None:
    """While it drains nothing is to be done, and the cluster is not as wanted; dead, it is removed as scaled in."""
    extra = replica("d1", 4)
    told = {extra.container: 99 * NS}
    draining = decide(look(*V1, extra, drained_at=told), STEADY)
    assert (draining.steps, draining.is_settled) == ((), False)
    gone = decide(look(*V1, replica("d1", 4, state=ReplicaState.DEAD), drained_at=told), STEADY)
    assert [(step.act, step.why) for step in gone.steps] == [(Act.REMOVE, Why.SCALE)]
    assert decide(look(*V1), STEADY).is_settled


def test_a_frozen_replica_is_replaced_and_removed() -> None:
    """One that went silent gets no drain, which it could not hear, and its slot a new replica."""
    decision = decide(look(*V1, frozen=frozenset({V1[0].container})), STEADY)
    assert acts(decision) == [(Act.CREATE, "a1"), (Act.REMOVE, "a1-1")]


def test_a_standby_group_is_made_and_nobody_is_sent_to_it() -> None:
    """Red/black: the new group gets ready beside the old one; it does not fill a gap either."""
    beside = SlotTargets(
        slots={name: SlotTarget(serve="v1", stand_by="v2") for name in NAMES}, fallback="v1", unproven="v2", at_once=2
    )
    assert acts(decide(look(*V1), beside)) == [(Act.CREATE, "a1"), (Act.CREATE, "b1")]
    group = (NEW, replica("b1", 5, "v2"), replica("c1", 6, "v2"))
    assert decide(look(*V1, *group), beside).is_settled
    gap = decide(look(*V1[1:], *group, holders={"b1": "b1-2", "c1": "c1-3"}), beside)
    assert acts(gap) == [(Act.CREATE, "a1")]
    assert gap.steps[0].release == "v1"


def test_a_kept_group_stays_and_takes_over_where_the_new_one_dies() -> None:
    """The old group stands by disabled; a slot whose new replica died goes back to it at once."""
    kept = SlotTargets(
        slots={name: SlotTarget(serve="v2", keep="v1") for name in NAMES}, fallback="v1", unproven="v2", at_once=2
    )
    group = (NEW, replica("b1", 5, "v2"), replica("c1", 6, "v2"))
    moved = {"a1": "a1-4", "b1": "b1-5", "c1": "c1-6"}
    assert decide(look(*V1, *group, holders=moved), kept).is_settled
    died = look(*V1, *group[1:], holders={"b1": "b1-5", "c1": "c1-6"})
    assert acts(decide(died, kept)) == [(Act.ENTER, "a1-1")]


def test_going_back_enables_the_old_group_before_the_new_one_goes() -> None:
    """Every slot is taken by the old group at once, and no replica of the new one is touched."""
    back = SlotTargets(
        slots={name: SlotTarget(serve="v1", keep="v2") for name in NAMES}, fallback="v1", unproven="v2", at_once=2
    )
    group = (NEW, replica("b1", 5, "v2"), replica("c1", 6, "v2"))
    seen = look(*V1, *group, holders={"a1": "a1-4", "b1": "b1-5", "c1": "c1-6"})
    assert acts(decide(seen, back)) == [(Act.ENTER, "a1-1"), (Act.ENTER, "b1-2"), (Act.ENTER, "c1-3")]


def test_a_slot_where_replicas_die_early_waits() -> None:
    """A replica that cannot start is not made again and again without a rest."""
    seen = look(*V1[1:], not_before={"a1": 101 * NS})
    assert decide(seen, STEADY).steps == ()
    assert acts(decide(msgspec.structs.replace(seen, at=102 * NS), STEADY)) == [(Act.CREATE, "a1")]


def test_nothing_is_made_in_a_lost_zone_until_it_is_back() -> None:
    """Its empty slot is no gap to fill and not settled either; the others are looked after all the while."""
    lost = frozenset({"b1"})
    decision = decide(look(V1[0], lost=lost), STEADY)
    assert acts(decision) == [(Act.CREATE, "c1")]
    assert not decide(look(V1[0], V1[2], lost=lost), STEADY).is_settled
    assert acts(decide(look(V1[0], V1[2]), STEADY)) == [(Act.CREATE, "b1")]


def test_a_replica_in_a_lost_zone_is_left_alone_whatever_it_does() -> None:
    """Cut off, it can neither be asked nor told anything: it is not taken for frozen, nor upgraded."""
    frozen = frozenset({V1[1].container})
    assert decide(look(*V1, frozen=frozen, lost=frozenset({"b1"})), STEADY).steps == ()
    assert decide(look(*V1, frozen=frozen), STEADY).steps != ()
    upgrade = decide(look(*V1, lost=frozenset({"a1", "b1", "c1"})), TO_V2)
    assert upgrade.steps == ()
