"""One value of the index is wrong, in a way that SQLite does not notice: what it costs is small.

SQLite keeps any value in any column, and any bytes as text. Nothing may come to a halt because of
one, nothing but our own errors comes out, and all datapoints but the one that the value is of are
delivered. In CI one row stands for each column, with ``AL_TEST_SIZE=full`` every row is tried.
"""

import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from al_framework.api import (
    AlFrameworkError,
    FrameKey,
    PermanentSinkError,
    Receipt,
    TransientSinkError,
)
from al_framework.pipeline.delivery import Delivery
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Candidate, Spool, SpoolLimits
from al_framework.pipeline.spool.inspecting import inspect_spool
from al_framework.testing.fakes import FakeClock
from al_framework.testing.samples import sample_datapoint

NOW = 1_700_000_000.0
SINKS = ("s", "t")
WRONG = {
    "no text": "CAST(x'ff41' AS TEXT)",
    "another text": "'x'",
    "no number": "x'00ff'",
    "negative": "-1",
    "beyond": "9e300",
    "half a document": """'{"a":'""",
    "nothing": "NULL",
}
TRIES = 3  # one finds it, one mends it, one works
STEPS = 80
# How far a datapoint came stands in its rows alone; that of no other may suffer.
OF_ONE = {"item": "number", "delivery": "number"}
# A budget is the word of one value; a wrong one is never taken for less than it says.
BUDGETS = {"limit_window", "limit_lost", "limit_latest"}


@dataclass
class Outcome:
    """What came of one wrong value."""

    what: str
    table: str
    item: str | None
    foreign: list = field(default_factory=list)
    halted: list = field(default_factory=list)
    delivered: set = field(default_factory=set)
    taken: str = ""
    is_rebuilt: bool = False


def candidate(number):
    datapoint = sample_datapoint(
        0, item_id=f"item-{number}", frame_id=f"frame-{number}", strategy="a"
    )
    return Candidate(
        item_id=datapoint.item_id,
        image=datapoint.image,
        matching=("a",),
        decided_at=NOW,
        batch_name="batch",
        compose=lambda _: datapoint,
        key=FrameKey(source="cam", frame_id=f"frame-{number}", size=1, mtime_ns=1),
    )


def make_spool(directory, clock):
    return Spool(
        directory,
        sinks=SINKS,
        ledger=SqliteLedger({"a": [LimitRule(period="daily", value=1000)]}, scope="scope"),
        clock=clock,
        limits=SpoolLimits(min_free_bytes=0),
    )


def leave_behind(directory):
    """Leave a dead letter, one that was tried, one half delivered, and one that was never tried."""

    def refuse(datapoint, checkpoint):
        if datapoint.item_id == "item-0":
            raise PermanentSinkError("sink 's': never")
        checkpoint.save(upload="1")
        raise TransientSinkError("sink 's': not now")

    clock = FakeClock(NOW)
    spool = make_spool(directory, clock)
    spool.open()
    spool.accept([candidate(number) for number in range(4)])
    sinks = {"s": refuse, "t": lambda *_: Receipt(status="created")}
    delivery = Delivery(spool, sinks, clock=clock, rng=random.Random(1))
    for _ in range(4):
        delivery.step()
    delivery.close(1.0)
    spool.close()


def places(index):
    """Return every value: its table and column, its row, and the datapoint that it is of."""
    found = []
    with closing(sqlite3.connect(index)) as tx:
        names = dict(tx.execute("SELECT number, item_id FROM item"))
        tables = tx.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (table,) in tables:
            if table.startswith("sqlite_"):
                continue
            cursor = tx.execute(f"SELECT * FROM {table}")  # noqa: S608 - one of ours
            columns = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                values = dict(zip(columns, row, strict=True))
                item = names.get(values.get(OF_ONE.get(table)))
                found += [(table, column, values, item) for column in columns]
    return found


def is_damaged(index, table, column, values, wrong):
    """Write a wrong value; SQLite refuses some of them."""
    where = " AND ".join(f"{name} IS ?" for name in values)
    with closing(sqlite3.connect(index, isolation_level=None)) as tx:
        try:
            tx.execute(
                f"UPDATE {table} SET {column} = {wrong} WHERE {where}",  # noqa: S608 - one of ours
                tuple(values.values()),
            )
        except sqlite3.IntegrityError:
            return False
    return True


def attempt(outcome, name, do):
    """Do something as often as its user would, and note what is not as it should be."""
    for _ in range(TRIES):
        try:
            return do()
        except AlFrameworkError as exc:
            error = exc
        except Exception as exc:  # noqa: BLE001 - that there is none is what is asked
            outcome.foreign.append((name, repr(exc)))
            return None
    outcome.halted.append((name, str(error)))
    return None


def look_at(directory, outcome):
    """Look without mending, so that it may be said again."""
    try:
        inspect_spool(directory, now=NOW)
    except AlFrameworkError as exc:
        if "its index is damaged" not in str(exc):
            outcome.foreign.append(("inspect", repr(exc)))
    except Exception as exc:  # noqa: BLE001 - as above
        outcome.foreign.append(("inspect", repr(exc)))


def live_on(directory, outcome):
    """Do all that a spool is there for, whatever comes out."""

    def deliver_to(sink):
        def deliver(datapoint, checkpoint):
            outcome.delivered.add((datapoint.item_id, sink))
            return Receipt(status="created")

        return deliver

    def deliver_all():
        for _ in range(STEPS):
            if not delivery.step():
                clock.advance(700.0)

    clock = FakeClock(NOW + 3600)
    spool = make_spool(directory, clock)
    delivery = Delivery(
        spool, {sink: deliver_to(sink) for sink in SINKS}, clock=clock, rng=random.Random(2)
    )
    look_at(directory, outcome)
    done = {
        name: attempt(outcome, name, do)
        for name, do in (
            ("open", spool.open),
            ("counts", spool.counts),
            ("find", lambda: spool.find("frame-1")),
            ("list", spool.dead.list),
            ("deliver", deliver_all),
            ("health", delivery.health),
            ("retry", lambda: spool.dead.retry(item_ids=["item-0"])),
            ("accept", lambda: spool.accept([candidate(9)])),
            ("deliver what is new", deliver_all),
            ("verify", spool.verify),
            ("drop", lambda: spool.dead.drop(item_ids=["item-0"])),
            ("sweep", spool.sweep_step),
            ("evict", spool.evict_due),
            ("prune", spool.dead.prune),
            ("gc", spool.gc),
            ("end delivery", lambda: delivery.close(1.0)),
            ("close", spool.close),
        )
    }
    outcome.taken = done["accept"][0].status if done["accept"] else ""
    outcome.is_rebuilt = any(directory.glob("spool.db.corrupt-*"))


@pytest.fixture(scope="module")
def outcomes(quick_directory, size, run_seed):
    """Damage one value after the other, and return what came of each."""
    rng = random.Random(run_seed)
    origin, work = quick_directory / "origin", quick_directory / "work"
    leave_behind(origin)
    found = places(origin / "spool.db")
    if size.name == "ci":
        rng.shuffle(found)
        found = list({place[:2]: place for place in found}.values())
    outcomes = []
    for table, column, values, item in found:
        for name, wrong in WRONG.items():
            shutil.copytree(origin, work)
            if is_damaged(work / "spool.db", table, column, values, wrong):
                outcome = Outcome(f"{table}.{column} of {values}: {name}", table, item)
                live_on(work, outcome)
                outcomes.append(outcome)
            shutil.rmtree(work)
    return outcomes


pytestmark = [pytest.mark.timeout(0), pytest.mark.usefixtures("seed")]


def test_every_column_of_the_index_was_damaged(outcomes):
    columns = {outcome.what.partition(" ")[0] for outcome in outcomes}

    assert len(columns) >= 70
    assert {column.partition(".")[0] for column in columns} >= {
        *("item", "delivery", "seen", "life", "tally", "total", "group_file", "sink", "note"),
        *("batch", "limit_window", "limit_credit", "limit_latest"),
    }


def test_nothing_but_our_own_errors_comes_out(outcomes):
    assert {one.what: one.foreign for one in outcomes if one.foreign} == {}


def test_what_fails_works_when_it_is_tried_again(outcomes):
    assert {one.what: one.halted for one in outcomes if one.halted} == {}


def test_it_costs_no_other_datapoint(outcomes):
    lost = {}
    for one in outcomes:
        others = {f"item-{number}" for number in (1, 2, 3)} - {one.item}
        missing = {(item, "s") for item in others} - one.delivered
        if missing:
            lost[one.what] = missing

    assert lost == {}


def test_new_frames_are_taken_unless_their_budget_may_be_spent(outcomes):
    refused = {
        one.what: one.taken
        for one in outcomes
        if one.taken != "accepted" and not one.is_rebuilt and one.table not in BUDGETS
    }

    assert refused == {}
    assert {one.taken for one in outcomes} <= {"accepted", "limited"}
