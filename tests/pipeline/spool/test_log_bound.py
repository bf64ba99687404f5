"""The index's log does not grow with the number of datapoints that pass, only with a slow reader.

Nothing is synced here, since only sizes matter.
"""

import os
import sqlite3
from contextlib import closing

import pytest

from al_framework.api import Receipt

MAX_LOG_BYTES = 16 << 20
GROUP = 16


@pytest.fixture
def pass_through(make_spool, candidate, monkeypatch):
    """Return a function that accepts and delivers groups; it tells how large the log became."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "fdatasync", lambda _: None)
    spool = make_spool()
    with spool._database.locked():
        spool._database._writer.execute("PRAGMA synchronous = OFF")
    log = spool.directory / "spool.db-wal"
    count = iter(range(1_000_000))

    def run(groups):
        most = 0
        for _ in range(groups):
            group = [candidate(f"{next(count)}") for _ in range(GROUP)]
            assert ["accepted"] * GROUP == [one.status for one in spool.accept(group)]
            while (lease := spool.deliveries.take("s1")) is not None:
                spool.deliveries.deliver(lease, Receipt(status="created"))
                spool.deliveries.let_go(lease)
            most = max(most, log.stat().st_size)
        assert spool.stats().items == 0
        return most

    run.log = log
    return run


def test_the_log_stays_small_however_many_pass(pass_through):
    # Without a checkpoint this would be twice as much as is allowed.
    assert pass_through(40) <= MAX_LOG_BYTES


def test_a_reader_that_lets_go_lets_the_log_become_small_again(make_spool, pass_through):
    index = make_spool.directory / "spool.db"
    pass_through(1)
    with closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True)) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT count(*) FROM seen").fetchone()
        grown = pass_through(24)
        assert reader.execute("SELECT count(*) FROM seen").fetchone() == before
    pass_through(2)
    after = pass_through(1)

    assert grown > MAX_LOG_BYTES  # while it is read nothing can be taken from it
    assert after <= MAX_LOG_BYTES
