"""Arbitrary things happen to a real spool of two processes; after each of them the model holds.

A process is played by a spool object with a name of its own: what ends one is that its connections
are gone, without a word to the others. That costs milliseconds where a real kill costs a start of
Python; `test_kill.py` and `test_failpoints.py` kill real ones.
"""

import copy
import errno
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from unittest.mock import patch

import hypothesis.strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from model import MAX_DELAY_S, RULES, Item, Model, windows_of

from al_framework.api import (
    Datapoint,
    Decision,
    LeaseLostError,
    Receipt,
    SpoolDiskFullError,
    SpoolFullError,
    StrategyVerdict,
    Verdict,
)
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Candidate, Lease, Spool, SpoolLimits
from al_framework.pipeline.spool.accepting import Acceptor
from al_framework.pipeline.spool.groupfile import read_item
from al_framework.pipeline.spool.records import Place
from al_framework.testing.fakes import FakeClock

SINKS = ("x", "y")
STATES = ("pending", "delivered", "dead", "evicted")
MATCHING = (("a",), ("b",), ("c",), ("a", "b"), ("b", "a", "c"))
LEASE_S = 60.0
# What ends processes happens now and then, so that something else can happen in between.
SELDOM = st.integers(0, 5)
MAX_ITEMS = 10
LIMITS = {
    strategy: [LimitRule(period=period, value=value) for period, value in rules.items()]
    for strategy, rules in RULES.items()
}


class Crash(BaseException):
    """The process is gone."""


class Process:
    """One process that uses the spool."""

    def __init__(self, name: str, spool: Spool) -> None:
        self.name = name
        self.spool = spool
        self.crash_at: str | None = None

    def failpoint(self, name: str) -> None:
        if name == self.crash_at:
            raise Crash(name)


def make_candidate(number: int, matching: Sequence[str], at: float) -> Candidate:
    name = f"i{number}"
    image = b"\xff\xd8" + random.Random(number).randbytes(40 + number % 60)
    verdicts = tuple(StrategyVerdict(s, Verdict(match=True), 0.5) for s in matching)
    decision = Decision(
        frame_id=name,
        decided_at=at,
        seed=1,
        verdicts=verdicts,
        matching=tuple(matching),
        outcome="selected",
        configuration_hash="c",
    )

    def compose(strategy: str) -> Datapoint:
        return Datapoint(
            item_id=name,
            frame_id=name,
            content_key="0" * 64,
            image=image,
            image_size=(4, 3),
            prediction=None,
            source_size=(4, 3),
            batch_name="batch",
            tags=(),
            strategy=strategy,
            utility=number % 5,
            probability=1.0,
            reason="",
            model_id=None,
            inference_id=None,
            captured_at=None,
            decided_at=at,
            attributes=MappingProxyType({}),
            source="",
            parent=None,
            decision=decision,
        )

    return Candidate(
        item_id=name,
        image=image,
        matching=tuple(matching),
        decided_at=at,
        batch_name="batch",
        compose=compose,
    )


class SpoolMachine(RuleBasedStateMachine):
    """The rules; a step that cannot be taken now does nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="al-machine-"))
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

    # Processes.

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

    # The way in.

    @rule(
        slot=st.sampled_from("pq"),
        group=st.lists(st.sampled_from(MATCHING), min_size=1, max_size=3),
    )
    def accept(self, slot: str, group: list[Sequence[str]]) -> None:
        process = self._process(slot)
        if process is None:
            return
        if self.limits.when_full == "drop_lowest_value":
            group = group[:1]
        now = self.clock.time()
        candidates = [self._next(matching, now) for matching in group]
        before = dict(self.model.items)
        try:
            answers = process.spool.accept(candidates)
        except SpoolFullError as exc:
            is_full = len(before) + len(candidates) > MAX_ITEMS
            assert is_full or isinstance(exc, SpoolDiskFullError)  # noqa: PT017 - one of two reasons
            return
        expected: list[str | None] = []
        for candidate, answer in zip(candidates, answers, strict=True):
            payer = self.model.payer(candidate.matching, now)
            expected.append(payer)
            assert answer.item_id == candidate.item_id
            assert answer.status == ("limited" if payer is None else "accepted"), answer
            assert answer.strategy == payer
            if payer is not None:
                self._note(candidate, payer, process.spool.sinks, now)
        self._note_evictions(process, set(before))
        # An index built anew may hold more, but then takes nothing in.
        assert len(self.model.items) <= MAX_ITEMS or not any(expected)

    @rule(
        slot=st.sampled_from("pq"),
        matching=st.sampled_from(MATCHING),
        point=st.sampled_from(["locked", "reserved", "written", "synced", "inserted", "committed"]),
        dice=SELDOM,
    )
    def die_while_accepting(
        self, slot: str, matching: Sequence[str], point: str, dice: int
    ) -> None:
        process = self._process(slot)
        if process is None or dice:
            return
        now = self.clock.time()
        candidates = [self._next(matching, now), self._next(matching, now)]
        if len(self.model.items) + 2 > MAX_ITEMS:
            return
        process.crash_at = point
        try:
            # A process that is killed removes no file on its way out.
            with patch.object(Acceptor, "_undo", lambda *_: None):
                process.spool.accept(candidates)
        except Crash:
            pass
        except SpoolDiskFullError:  # it was full a moment ago
            process.crash_at = None
            return
        self._kill(slot, process)
        shadow = copy.deepcopy(self.model)
        for candidate in candidates:
            payer = shadow.payer(candidate.matching, now)
            if payer is None:
                continue
            # It may come back from its group file when the index is lost; nobody was promised it.
            shadow.accept(candidate.item_id, candidate.image, payer, process.spool.sinks, now)
            self.known[candidate.item_id] = replace_item(shadow.items[candidate.item_id])
            if point == "committed":
                self._note(candidate, payer, process.spool.sinks, now)

    @rule(
        slot=st.sampled_from("pq"),
        matching=st.sampled_from(MATCHING),
        part=st.booleans(),
        dice=SELDOM,
    )
    def fill_the_disk(self, slot: str, matching: Sequence[str], part: bool, dice: int) -> None:
        process = self._process(slot)
        if process is None or dice or self.model.payer(matching, self.clock.time()) is None:
            return
        if len(self.model.items) >= MAX_ITEMS:
            return
        real, calls = os.writev, []

        def writev(descriptor: int, buffers: Sequence[bytes]) -> int:
            calls.append(1)
            if part and len(calls) == 1:
                return real(descriptor, [bytes(buffers[0])[:10]])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        candidate = self._next(matching, self.clock.time())
        with patch.object(os, "writev", writev):
            try:
                process.spool.accept([candidate])
            except SpoolDiskFullError:
                pass
            else:
                raise AssertionError("a full disk took a datapoint")

    @rule(slot=st.sampled_from("pq"))
    def evict_due(self, slot: str) -> None:
        process = self._process(slot)
        if process is None:
            return
        before = set(self.model.items)
        process.spool.evict_due()
        assert self.limits.max_age_s is not None or before == self._held(process)
        self._note_evictions(process, before, by_age=True)

    # The way out.

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
        way.tries += 1
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

    # Time, and tidiness.

    @rule(seconds=st.sampled_from([1.0, 6.0, 30.0, 61.0, 3700.0, 40000.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([1.0, 59.0, 4000.0]))
    def set_the_clock_back(self, seconds: float) -> None:
        self.clock.set_time(self.clock.time() - seconds)

    @rule(slot=st.sampled_from("pq"))
    def tidy(self, slot: str) -> None:
        process = self._process(slot)
        if process is not None:
            process.spool.gc()

    # What always holds.

    @invariant()
    def rows_are_as_the_model_says(self) -> None:
        process = self._any()
        if process is None:
            return
        with process.spool._database.read() as tx:
            rows = tx.execute(
                """SELECT item_id, sink, state, owner, attempts, checkpoint, stored
                FROM item JOIN delivery USING (number)"""
            ).fetchall()
            items = tx.execute(
                "SELECT item_id, file, offset, image_bytes, meta_bytes FROM item"
            ).fetchall()
            total = tx.execute("SELECT items FROM total").fetchone()[0]
            pending = sum(
                n
                for (n,) in tx.execute(
                    "SELECT accepted + recovered - delivered - dead - evicted FROM tally"
                )
            )
            windows = tx.execute(
                "SELECT strategy, period, start, used FROM limit_window"
            ).fetchall()
        found = {(r[0], r[1]): (STATES[r[2]], r[3], r[4], bool(r[6])) for r in rows}
        expected = {
            (item_id, sink): (way.state, way.owner, way.attempts, way.stored)
            for item_id, item in self.model.items.items()
            for sink, way in item.ways.items()
        }
        assert found == expected
        assert total == len(items) == len(self.model.items)
        assert pending == sum(state == "pending" for state, *_ in found.values())
        for item_id, file, offset, image_bytes, meta_bytes in items:
            place = Place(offset=offset, image_bytes=image_bytes, meta_bytes=meta_bytes)
            image, _ = read_item(self.directory / "spool" / "obj" / file, place)
            assert image == self.known[item_id].image
        self._check_windows(windows)

    def teardown(self) -> None:
        try:
            self._drain()
        finally:
            for slot, process in list(self.processes.items()):
                if process is not None:
                    self._kill(slot, process)
            for each in self.patches:
                each.stop()
            shutil.rmtree(self.directory)

    def _drain(self) -> None:
        """Deliver all that is left: whatever was accepted is delivered, dead, or still there."""
        for slot, process in list(self.processes.items()):
            if process is not None:
                self._kill(slot, process)
        self.open("p", SINKS)
        process = self._process("p")
        assert process is not None
        for _ in range(2):  # the first one finds dates that a clock has left in the future
            process.spool.deliveries.reclaim(SINKS)
            self._model_reclaim(process, own=False)
            self.clock.advance(MAX_DELAY_S + LEASE_S)
        self.rows_are_as_the_model_says()
        for sink in SINKS:
            while (lease := process.spool.deliveries.take(sink)) is not None:
                self.model.items[lease.item_id].ways[sink].owner = lease.owner
                process.spool.deliveries.deliver(lease, Receipt(status="created"))
                self._model_work(lease, "created")
        self.rows_are_as_the_model_says()
        owed = {key for key in self._obligations() if key not in self.model.delivered}
        assert not owed, f"accepted and lost: {sorted(owed)}"
        assert process.spool.verify().is_sound
        process.spool.gc()
        assert len(process.spool.verify().stray_files) == 0

    def _obligations(self) -> set[tuple[str, str]]:
        dead = {
            (item_id, sink)
            for item_id, item in self.model.items.items()
            for sink, way in item.ways.items()
            if way.state == "dead"
        }
        return (
            {
                (item_id, sink)
                for item_id in self.model.accepted
                for sink in self.known[item_id].ways
            }
            - dead
            - self.model.buried
        )

    # Within.

    def _check_windows(self, windows: list[tuple[str, str, int, int]]) -> None:
        counted: dict[tuple[str, str, int], int] = {}
        for strategy, at in self.model.credits.values():
            for period, start in windows_of(at).items():
                key = (strategy, period, start)
                counted[key] = counted.get(key, 0) + 1
        oldest = self.clock.time() - 2 * 86400
        found = {(s, p, start): used for s, p, start, used in windows if used and start >= oldest}
        counted = {key: n for key, n in counted.items() if key[2] >= oldest}
        assert found == counted
        for (strategy, period, _), used in found.items():
            assert used <= RULES[strategy].get(period, used)

    def _apply(self, process: Process, lease: Lease, how: str) -> None:
        deliveries = process.spool.deliveries
        if how in {"created", "duplicate"}:
            deliveries.deliver(lease, Receipt(status=how))
        elif how == "dead":
            deliveries.give_up(lease, "refused")
        elif how == "save":
            deliveries.checkpoint(lease, {"image_id": "1"})
        else:
            deliveries.put_back(lease, reason="busy", delay_s=None if how == "back" else 20.0)

    def _model_work(self, lease: Lease, how: str) -> None:
        way = self.model.items[lease.item_id].ways[lease.sink]
        if how == "save":
            way.checkpoint = {"image_id": "1"}
            way.lease_until = self.clock.monotonic() + LEASE_S
        elif how in {"back", "later"}:
            way.owner, way.crashes = None, 0
            way.due = self.clock.time() + (20.0 if how == "later" else 0.0)
            way.attempts += how == "later"
        else:
            way.stored = how == "created" or (how == "duplicate" and lease.tries > 1)
            if how == "dead":
                way.stored, way.attempts = bool(way.checkpoint), way.attempts + 1
            self.model.end(lease.item_id, lease.sink, "dead" if how == "dead" else "delivered")

    def _model_reclaim(self, process: Process, *, own: bool) -> None:
        self.model.reclaim(
            now=self.clock.time(),
            monotonic=self.clock.monotonic(),
            me=process.name,
            alive=self.alive,
            own=own,
        )

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


def walk(machine: SpoolMachine, rng: random.Random, steps: int) -> None:
    """Take random steps, the ordinary ones most often; finds what is wrong sooner than chance."""
    slot, sink = (lambda: rng.choice("pq")), (lambda: rng.choice(SINKS))
    matching, number = (lambda: rng.choice(MATCHING)), (lambda: rng.randrange(1 << 16))
    ways = ("created", "created", "created", "duplicate", "dead", "back", "later", "save", "save")
    points = ("locked", "reserved", "written", "synced", "inserted", "committed")
    choices: list[tuple[float, Callable[[], None]]] = [
        (6, lambda: machine.accept(slot(), [matching() for _ in range(rng.randint(1, 3))])),
        (6, lambda: machine.take(slot(), sink())),
        (8, lambda: machine.work(number(), rng.choice(ways), rng.randrange(6))),
        (2, lambda: machine.open(slot(), SINKS)),
        (2, lambda: machine.reclaim(slot())),
        (2, lambda: machine.wait(rng.choice([1.0, 6.0, 61.0, 3700.0]))),
        (1, lambda: machine.see_to_a_dead_letter(slot(), number(), rng.random() < 0.3)),
        (0.5, lambda: machine.evict_due(slot())),
        (0.5, lambda: machine.crash(slot(), 0)),
        (0.3, lambda: machine.close(slot(), 0)),
        (0.3, lambda: machine.set_the_clock_back(rng.choice([1.0, 59.0, 4000.0]))),
        (0.3, lambda: machine.tidy(slot())),
        (0.3, lambda: machine.die_while_accepting(slot(), matching(), rng.choice(points), 0)),
        (0.3, lambda: machine.fill_the_disk(slot(), matching(), rng.random() < 0.5, 0)),
        (0.2, lambda: machine.lose_the_index(rng.random() < 0.5, 0)),
    ]
    weights = [weight for weight, _ in choices]
    policies = ["reject_new", "drop_oldest", "drop_oldest", "drop_lowest_value"]
    try:
        machine.begin(rng.choice(policies), rng.choice([None, 5000.0]))
        for _ in range(steps):
            _, step = rng.choices(choices, weights)[0]
            step()
            machine.rows_are_as_the_model_says()
    finally:
        machine.teardown()
