"""The loop keeps up with what others do to the limits."""

from contextlib import nullcontext

import pytest

from al_framework.pipeline.limits.base import LedgerUnavailableError, LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.spool import Acceptance

FRAMES = ("0", "1", "2")


class Watched(MemoryLedger):
    def __init__(self):
        super().__init__({"a": [LimitRule(period="daily", value=0)]}, scope="s")
        self.refreshed_at = []

    def refresh(self, now):
        self.refreshed_at.append(now)


def test_it_asks_for_news_before_every_frame_even_if_all_are_refused(world, yes, listed, new_run):
    ledger = Watched()
    engine = world.engine({"a": yes}, ledger=ledger)

    new_run(engine)(listed(*FRAMES, asks=False))

    assert [world.clock.time()] * 3 == ledger.refreshed_at
    assert world.tally.counts({}).limited == 3


class Restarting(MemoryLedger):
    """Does not answer for one frame after the first, as a server that is being restarted."""

    def __init__(self):
        super().__init__({}, scope="s")
        self.answers = [True, False, True, False]

    def reserve(self, strategies, token, now, tx):
        if self.answers and not self.answers.pop(0):
            raise LedgerUnavailableError("gone")
        return super().reserve(strategies, token, now, tx)


class Patient:
    """Takes what the ledger grants, as the spool does, and notes in which order."""

    def __init__(self, ledger):
        self._ledger, self.taken = ledger, []

    def accept(self, entries):
        return [self._take(entry) for entry in entries]

    def _take(self, entry):
        try:
            self._ledger.reserve(entry.matching, entry.item_id, entry.decided_at, None)
        except LedgerUnavailableError:
            return Acceptance(item_id=entry.item_id, status="limiter_unavailable")
        self.taken.append(entry.item_id)
        return Acceptance(item_id=entry.item_id, status="accepted", strategy=entry.matching[0])


@pytest.mark.parametrize(
    ("rooms", "taken", "dropped"),
    [([True, True], 3, {}), ([True, False], 2, {"limiter_unavailable": 1}), ([False], 2, None)],
)
def test_frames_for_which_nobody_grants_a_credit_are_tried_again_and_counted_once(
    *, world, yes, listed, new_run, rooms, taken, dropped
):
    ledger = Restarting()
    engine = world.engine({"a": yes}, ledger=ledger)
    engine._acceptor = spool = Patient(ledger)
    run = new_run(engine, rooms=rooms)
    expected = {"limiter_unavailable": 1} if dropped is None else dropped
    told = r"the limits cannot be asked for: see that it runs, or correct limits\.redis_url, then"
    with pytest.raises(LedgerUnavailableError, match=told) if expected else nullcontext():
        run(listed(*FRAMES, asks=False))
    counts = world.tally.counts({})

    assert run.waiting == []
    assert (counts.offered, counts.accepted, counts.dropped) == (3, taken, expected)
    assert len(spool.taken) == len(set(spool.taken)) == taken
