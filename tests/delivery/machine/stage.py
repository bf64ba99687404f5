"""Two processes of one spool that come and go, and what the model is told of all they do.

A process is played by a spool object with a name of its own: what ends one is that its connections
are gone, without a word to the others. That costs milliseconds where a real kill costs a start of
Python; `test_kill.py` and `test_failpoints.py` kill real ones.
"""

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from unittest.mock import patch

import hypothesis.strategies as st
from actors import Process, make_candidate
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from model import RULES, Item, Model

from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Candidate, Lease, Spool, SpoolLimits
from al_framework.testing.fakes import FakeClock

SINKS = ("x", "y")
# What ends processes happens now and then, so that something else can happen in between.
SELDOM = st.integers(0, 5)
MAX_ITEMS = 10
LIMITS = {
    strategy: [LimitRule(period=period, value=value) for period, value in rules.items()]
    for strategy, rules in RULES.items()
}


class Stage(RuleBasedStateMachine):
    """The rules by which processes begin and end; a step that cannot be taken now does nothing.

    Attributes:
        place: Where spools are made; None for the usual directory.
    """

    place: ClassVar[Path | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="al-machine-", dir=self.place))
        self.clock = FakeClock()
        self.model = Model()
        self.known: dict[str, Item] = {}
        self.processes: dict[str, Process | None] = {"p": None, "q": None}
        self.leases: list[tuple[Process, Lease]] = []
        self.alive: set[str] = set()
        self.current = ""
        self.number = self.born = 0
        self.limits = SpoolLimits(min_free_bytes=0, max_items=MAX_ITEMS)
        self.patches = [
            patch(f"al_framework.pipeline.spool.{module}.{name}", value)
            for module in ("lives", "leases")
            for name, value in (
                ("process_name", lambda: self.current),
                ("is_alive", lambda name: name in self.alive),
            )
        ]
        for each in self.patches:
            each.start()

    @initialize(
        when_full=st.sampled_from(["reject_new", "drop_oldest", "drop_lowest_value"]),
        max_age_s=st.sampled_from([None, 5000.0]),
    )
    def begin(self, when_full: str, max_age_s: float | None) -> None:
        self.limits = replace(self.limits, when_full=when_full, max_age_s=max_age_s)
        self.open("p", SINKS)

    @rule(slot=st.sampled_from("pq"), sinks=st.sampled_from([SINKS, SINKS, ("x",)]))
    def open(self, slot: str, sinks: Sequence[str]) -> None:
        if self.processes[slot] is not None:
            return
        self.born += 1
        name = f"{slot}{self.born}"
        self.alive.add(name)
        self.current = name
        process: Process | None = None
        spool = Spool(
            self.directory / "spool",
            sinks=sinks,
            ledger=SqliteLedger(LIMITS, scope="s"),
            clock=self.clock,
            limits=self.limits,
            failpoint=lambda point: None if process is None else process.failpoint(point),
        )
        spool.open()
        process = self.processes[slot] = Process(name, spool)

    @rule(slot=st.sampled_from("pq"), dice=SELDOM)
    def close(self, slot: str, dice: int) -> None:
        process = self._process(slot)
        if process is None or dice:
            return
        process.spool.deliveries.reclaim(process.spool.sinks, own=True)
        self._model_reclaim(process, own=True)
        process.spool.close()
        self._forget(slot, process)

    @rule(slot=st.sampled_from("pq"), dice=SELDOM)
    def crash(self, slot: str, dice: int) -> None:
        process = self._process(slot)
        if process is not None and not dice:
            self._kill(slot, process)

    @rule(keep=st.booleans(), dice=SELDOM)
    def lose_the_index(self, keep: bool, dice: int) -> None:
        """Nothing is left of the index, or its beginning is overwritten."""
        if dice:
            return
        for slot, process in list(self.processes.items()):
            if process is not None:
                self._kill(slot, process)
        index = self.directory / "spool" / "spool.db"
        for path in index.parent.glob("spool.db-*"):
            path.unlink()
        if keep:
            index.write_bytes(b"\0" * 5000)
        else:
            index.unlink()
        traces = [*index.parent.glob("obj/*/*.als"), *index.parent.glob("spool.db*")]
        self.open("p", SINKS)
        process = self._process("p")
        assert process is not None
        with process.spool._database.read() as tx:
            rows = tx.execute("SELECT item_id, sink FROM item JOIN delivery USING (number)")
            held: dict[str, list[str]] = {}
            for item_id, sink in rows:
                held.setdefault(item_id, []).append(sink)
        # Without a trace of the one before, a spool cannot be told from a new one.
        self.model.rebuilt(held, self.known, self.clock.time(), is_new=not traces)

    # What both sides are told.

    def _next(self, matching: Sequence[str], at: float) -> Candidate:
        self.number += 1
        return make_candidate(self.number, matching, at)

    def _note(self, candidate: Candidate, payer: str, sinks: Sequence[str], at: float) -> None:
        self.model.accept(candidate.item_id, candidate.image, payer, sinks, at)
        self.known[candidate.item_id] = replace_item(self.model.items[candidate.item_id])

    def _note_evictions(self, process: Process, before: set[str], *, by_age: bool = False) -> None:
        gone = set(self.model.items) - self._held(process)
        assert not gone or by_age or self.limits.when_full != "reject_new", f"evicted: {gone}"
        assert gone <= before, f"accepted and gone at once: {gone - before}"
        for item_id in gone:
            self.model.evict(item_id)

    @staticmethod
    def _held(process: Process) -> set[str]:
        with process.spool._database.read() as tx:
            return {item_id for (item_id,) in tx.execute("SELECT item_id FROM item")}

    def _model_reclaim(self, process: Process, *, own: bool) -> None:
        self.model.reclaim(
            now=self.clock.time(),
            monotonic=self.clock.monotonic(),
            me=process.name,
            alive=self.alive,
            own=own,
        )

    # Processes.

    def _process(self, slot: str) -> Process | None:
        process = self.processes[slot]
        if process is not None:
            self.current = process.name
        return process

    def _any(self) -> Process | None:
        return next((p for p in self.processes.values() if p is not None), None)

    def _kill(self, slot: str, process: Process) -> None:
        database = process.spool._database
        with suppress(sqlite3.Error):
            database._disconnect()
        database._lock.close()
        process.spool._ledger.close()
        self._forget(slot, process)

    def _forget(self, slot: str, process: Process) -> None:
        self.alive.discard(process.name)
        self.processes[slot] = None
        self.leases = [entry for entry in self.leases if entry[0] is not process]


def replace_item(item: Item) -> Item:
    return Item(image=item.image, strategy=item.strategy, ways=dict(item.ways))
