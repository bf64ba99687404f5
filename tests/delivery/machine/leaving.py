"""What becomes of datapoints that a process has in hand, and of dead letters."""

import hypothesis.strategies as st
from actors import Crash, Process
from checks import LEASE_S, Checks
from hypothesis.stateful import rule
from stage import SELDOM, SINKS

from al_framework.api import LeaseLostError, Receipt
from al_framework.pipeline.spool import Lease


class Leaving(Checks):
    """The way out."""

    @rule(slot=st.sampled_from("pq"), sink=st.sampled_from(SINKS))
    def take(self, slot: str, sink: str) -> None:
        process = self._process(slot)
        if process is None:
            return
        now = self.clock.time()
        lease = process.spool.deliveries.take(sink)
        waiting = dict(self.model.waiting(sink, now))
        if lease is None:
            assert not waiting, f"nothing was leased, and these wait: {sorted(waiting)}"
            return
        assert lease.item_id in waiting, f"{lease.item_id} was leased and does not wait"
        way = waiting[lease.item_id]
        assert dict(lease.checkpoint) == way.checkpoint
        assert lease.attempts == way.attempts
        way.owner, way.lease_until = lease.owner, self.clock.monotonic() + LEASE_S
        way.tries, way.due = way.tries + 1, min(way.due, now)
        datapoint = process.spool.deliveries.load(lease)
        assert datapoint.image == self.known[lease.item_id].image
        self.leases.append((process, lease))

    @rule(
        index=st.integers(0, 1 << 16),
        how=st.sampled_from(
            ["created", "created", "created", "duplicate", "dead", "back", "later", "save"]
        ),
        dice=SELDOM,
    )
    def work(self, index: int, how: str, dice: int) -> None:
        if not self.leases:
            return
        process, lease = self.leases[index % len(self.leases)]
        self.current = process.name
        item = self.model.items.get(lease.item_id)
        way = item.ways.get(lease.sink) if item is not None else None
        holds = way is not None and way.owner == lease.owner
        process.crash_at = "ended" if not dice and how in {"created", "dead"} else None
        try:
            self._apply(process, lease, how)
        except LeaseLostError:
            assert not holds, f"{lease} is said to be lost and is not"
            process.crash_at = None
            self.leases.remove((process, lease))
            return
        except Crash:
            self._kill(process.name[0], process)
        process.crash_at = None
        assert holds, f"{lease} is lost, and its holder could write all the same"
        assert way is not None
        self._model_work(lease, how)
        if how != "save" and (process, lease) in self.leases:
            process.spool.deliveries.let_go(lease)
            self.leases.remove((process, lease))

    @rule(slot=st.sampled_from("pq"))
    def reclaim(self, slot: str) -> None:
        process = self._process(slot)
        if process is None:
            return
        process.spool.deliveries.reclaim(SINKS)
        self._model_reclaim(process, own=False)

    @rule(slot=st.sampled_from("pq"), index=st.integers(0, 1 << 16), drop=st.booleans())
    def see_to_a_dead_letter(self, slot: str, index: int, drop: bool) -> None:
        process = self._process(slot)
        dead = [
            item_id
            for item_id, item in self.model.items.items()
            if any(way.state == "dead" for way in item.ways.values())
        ]
        if process is None:
            return
        assert {letter.item_id for letter in process.spool.dead.list()} == set(dead)
        if not dead:
            return
        item_id = dead[index % len(dead)]
        if drop:
            assert process.spool.dead.drop(item_ids=[item_id]) > 0
            self.model.drop(item_id)
            return
        report = process.spool.dead.retry(item_ids=[item_id])
        done = self.model.retry(item_id, self.clock.time())
        assert bool(report.retried) == done, report
        assert report.limited == (0 if done else 1)

    def _apply(self, process: Process, lease: Lease, how: str) -> None:
        deliveries = process.spool.deliveries
        if how == "created":
            deliveries.deliver(lease, Receipt(status="created"))
        elif how == "duplicate":
            deliveries.deliver(lease, Receipt(status="duplicate"))
        elif how == "dead":
            deliveries.give_up(lease, "refused")
        elif how == "save":
            deliveries.checkpoint(lease, {"image_id": "1"})
        else:
            deliveries.put_back(lease, reason="busy", delay_s=None if how == "back" else 20.0)
