"""A spool that version 0.1 has left behind: its index has the first schema, and nothing is lost."""

import json
import sqlite3

import pytest

from al_framework.api import Receipt
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import BatchKey
from al_framework.pipeline.spool.directory import GroupFiles, prepare_directory
from al_framework.pipeline.spool.groupfile import GroupItem
from al_framework.pipeline.spool.items import encode_meta
from al_framework.pipeline.spool.schema import MIGRATIONS

NOW = 1_700_000_000.0
CREATED = json.dumps({"status": "created", "remote_id": "r", "url": None})
DUPLICATE = json.dumps({"status": "duplicate", "remote_id": "r", "url": None})
# Name, owner, attempts, and state with result at each of two sinks; 0 pending, 1 delivered.
ITEMS = (
    ("fresh", None, 0, (0, "{}"), (0, "{}")),
    ("leased", "1:1:elsewhere/1/0", 0, (0, "{}"), (0, "{}")),
    ("retried", None, 2, (0, '{"reason": "busy"}'), (0, "{}")),
    ("half", None, 0, (1, CREATED), (0, "{}")),
    ("twice", None, 0, (1, DUPLICATE), (0, "{}")),
)
LEDGER_OF_VERSION_1 = (
    """CREATE TABLE limit_window (
        scope TEXT NOT NULL, strategy TEXT NOT NULL, period TEXT NOT NULL, start INTEGER NOT NULL,
        used INTEGER NOT NULL, PRIMARY KEY (scope, strategy, period, start)) WITHOUT ROWID""",
    """CREATE TABLE limit_credit (
        scope TEXT NOT NULL, token TEXT NOT NULL, strategy TEXT NOT NULL,
        reserved_at REAL NOT NULL, PRIMARY KEY (scope, token)) WITHOUT ROWID""",
    "CREATE TABLE limit_lost (at REAL PRIMARY KEY) WITHOUT ROWID",
)


@pytest.fixture
def old_spool(make_spool, candidate):
    """Write a spool as version 0.1 did: two of ours delivered to both sinks, five on their way."""
    directory = make_spool.directory
    prepare_directory(directory)
    files = GroupFiles(directory)
    candidates = [candidate(name) for name, *_ in ITEMS]
    items = [
        GroupItem(each.image, encode_meta(each.compose("a"), each.key, ("s1", "s2")))
        for each in candidates
    ]
    file = files.reserve_name(NOW)
    places = files.write(file, items)
    with sqlite3.connect(directory / "spool.db") as index:
        for statement in (*MIGRATIONS[0], *LEDGER_OF_VERSION_1):
            index.execute(statement)
        index.execute("PRAGMA user_version = 1")
        index.execute("INSERT INTO batch (name, images) VALUES ('batch', 7)")
        for number, (item, place) in enumerate(zip(ITEMS, places, strict=True), 1):
            name, owner, attempts, *ends = item
            index.execute(
                "INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, 'batch', ?)",
                (
                    number,
                    f"item-{name}",
                    file,
                    place.offset,
                    place.image_bytes,
                    place.meta_bytes,
                    NOW,
                ),
            )
            for sink, (state, result) in zip(("s1", "s2"), ends, strict=True):
                index.execute(
                    "INSERT INTO delivery VALUES (?, ?, 1, ?, ?, ?, 0, '{}', ?, NULL, ?)",
                    (number, sink, state, NOW, attempts, owner, result),
                )
            for period, start in (("minutely", 1_699_999_980), ("daily", 1_699_920_000)):
                index.execute(
                    """INSERT INTO limit_window VALUES ('s', 'a', ?, ?, 1)
                    ON CONFLICT DO UPDATE SET used = used + 1""",
                    (period, start),
                )
            index.execute("INSERT INTO limit_credit VALUES ('s', ?, 'a', ?)", (f"item-{name}", NOW))
    index.close()
    ledger = SqliteLedger({"a": [LimitRule(period="daily", value=5)]}, scope="s")
    return make_spool(sinks=("s1", "s2"), ledger=ledger)


def test_the_first_schema_is_the_one_that_was_released():
    """Never change it: spools of version 0.1 lie on disks."""
    index = sqlite3.connect(":memory:")
    for statement in MIGRATIONS[0]:
        index.execute(statement)
    columns = {
        table: [row[1] for row in index.execute(f"PRAGMA table_info({table})")]
        for table in ("item", "delivery", "batch", "life", "total")
    }
    index.close()

    assert {
        "item": [
            "number",
            "item_id",
            "file",
            "offset",
            "image_bytes",
            "meta_bytes",
            "batch_name",
            "accepted_at",
        ],
        "delivery": [
            "number",
            "sink",
            "life",
            "state",
            "due",
            "attempts",
            "faults",
            "checkpoint",
            "owner",
            "lease_until",
            "result",
        ],
        "batch": ["name", "images"],
        "life": ["life", "process"],
        "total": ["items", "bytes"],
    } == columns


def test_places_stay_taken(old_spool, candidate):
    answers = old_spool.accept(
        [candidate(name, matching=("free",), max_batch_images=8) for name in "12"]
    )

    assert ["accepted", "batch_full"] == [answer.status for answer in answers]


def test_what_was_delivered_is_known_to_be_stored(old_spool):
    key = BatchKey(name="batch")

    assert [3, 2] == [old_spool.batches.stored(key, sink) for sink in ("s1", "s2")]


def test_attempts_are_tries(old_spool):
    with old_spool._database.read() as tx:
        rows = tx.execute(
            "SELECT item_id, tries FROM delivery JOIN item USING (number) WHERE sink = 's2'"
        ).fetchall()

    assert {"fresh": 0, "leased": 1, "retried": 2, "half": 0, "twice": 0} == {
        item_id.removeprefix("item-"): tries for item_id, tries in rows
    }


def test_everything_is_delivered_and_credits_return_by_the_rule(old_spool):
    old_spool.deliveries.reclaim(("s1", "s2"))
    for sink in ("s1", "s2"):
        while (lease := old_spool.deliveries.take(sink)) is not None:
            assert old_spool.deliveries.load(lease).item_id == lease.item_id
            old_spool.deliveries.deliver(lease, Receipt(status="duplicate"))

    assert old_spool.stats().items == 0
    # Of five credits two come back: `fresh` and `twice` were no sink's before.
    assert old_spool._ledger.used("a", NOW)["daily"] == 3


def test_what_earlier_versions_have_tried_may_be_stored(make_spool, candidate, monkeypatch):
    ledger = SqliteLedger({"a": [LimitRule(period="daily", value=9)]}, scope="s")
    with monkeypatch.context() as patch:
        patch.setattr("al_framework.pipeline.spool.schema.MIGRATIONS", MIGRATIONS[:3])
        old = make_spool(ledger=ledger)
        old.accept([candidate("tried"), candidate("fresh")])
        with old._database.locked(), old._database.transaction() as tx:
            tx.execute("UPDATE delivery SET tries = 1, attempts = 1 WHERE number = 1")
        old.close()

    spool = make_spool(ledger=ledger)
    for _ in range(2):
        spool.deliveries.give_up(spool.deliveries.take("s1"), "no")

    assert ledger.used("a", NOW)["daily"] == 1  # that of the first: nobody knows how its try ended
