"""A group that does not fit as a whole: what there is room for is taken, and the rest is said.

Run against the stage that hands groups over; the spool itself takes a group or refuses it.
"""

import pytest

from al_framework.pipeline.spool import SpoolLimits
from al_framework.pipeline.storing import store

GROUP = 16


class Desk:
    """As much of an engine as the hand-over needs."""

    def __init__(self, spool):
        self.spool = spool
        self.asked, self.lost, self.told = [], [], []

    def accept(self, group):
        self.asked.append(len(group))
        return self.spool.accept(group)

    def lose(self, group, reason):
        self.lost += [(each.item_id, reason) for each in group]

    def report(self, text, exc):
        self.told.append(text)


def bounds(**options):
    return SpoolLimits(min_free_bytes=0, **options)


def hand_over(spool, group):
    desk = Desk(spool)
    names = [each.item_id for each in group]
    tickets = store(desk, group, names)
    assert names == [ticket.frame_id for ticket in tickets]
    return desk, [ticket.status for ticket in tickets]


@pytest.mark.parametrize("room", [1, 5, 15])
def test_a_spool_smaller_than_a_group_takes_what_fits(make_spool, candidate, room):
    spool = make_spool(limits=bounds(max_items=room))
    group = [candidate(f"{n:02}") for n in range(GROUP)]

    desk, statuses = hand_over(spool, group)

    assert ["accepted"] * room + ["dropped"] * (GROUP - room) == statuses
    assert [(one.item_id, "spool_full") for one in group[room:]] == desk.lost
    assert spool.stats().items == room
    (text,) = desk.told
    assert f"it holds {room} of {room} datapoints and cannot take 1 more" in text
    # What is refused costs no sync, but a transaction, so not every frame is asked for.
    assert len(desk.asked) <= 12


def test_a_full_spool_is_asked_a_few_times_for_a_group(make_spool, candidate):
    spool = make_spool(limits=bounds(max_items=1))
    spool.accept([candidate("held")])

    desk, statuses = hand_over(spool, [candidate(f"{n:02}") for n in range(GROUP)])

    assert ["dropped"] * GROUP == statuses
    assert [16, 8, 4, 2, 1] == desk.asked


def test_few_bytes_take_the_pictures_that_are_small_enough(make_spool, candidate):
    sizes = {"a": 9000, "b": 90_000, "c": 9000, "d": 90_000, "e": 5000}
    group = [candidate(name, image=b"\xff\xd8" + bytes(size)) for name, size in sizes.items()]
    spool = make_spool(limits=bounds(max_bytes=40_000))

    desk, statuses = hand_over(spool, group)

    assert ["accepted", "dropped", "accepted", "dropped", "accepted"] == statuses
    assert ["item-b", "item-d"] == [name for name, _ in desk.lost]
    assert "of 40000 bytes and cannot take" in desk.told[0]


def test_the_oldest_give_way_to_a_group_that_is_larger_than_the_spool(make_spool, candidate):
    spool = make_spool(limits=bounds(max_items=5, when_full="drop_oldest"))
    group = [candidate(f"{n:02}") for n in range(GROUP)]

    desk, statuses = hand_over(spool, group)

    assert ["accepted"] * GROUP == statuses
    assert desk.lost == desk.told == []
    left = []
    while (lease := spool.deliveries.take("s1")) is not None:
        left.append(lease.item_id)
    assert [one.item_id for one in group[-len(left) :]] == left
    assert len(left) in {4, 5}
