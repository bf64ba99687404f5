import dataclasses
import sqlite3

import pytest

from al_framework.api import SpoolError
from al_framework.pipeline.spool import Backlog
from al_framework.pipeline.spool.inspecting import inspect_spool
from al_framework.pipeline.spool.schema import MIGRATIONS


@pytest.fixture
def clock(make_spool):
    return make_spool.clock


def listing(directory):
    return {
        str(path.relative_to(directory)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in directory.rglob("*")
        if path.is_file()
    }


def break_index(directory):
    for file in directory.glob("spool.db*"):
        file.unlink()
    (directory / "spool.db").write_bytes(b"no database at all" * 500)


def test_a_spool_in_use_is_seen_as_it_is(make_spool, candidate, clock):
    with make_spool(sinks=("a", "b")) as spool:
        spool.accept([candidate("1"), candidate("2")])
        lease = spool.deliveries.take("a")
        spool.deliveries.give_up(lease, "no")
        clock.advance(5)
        found = inspect_spool(spool.directory, now=clock.time())

        assert found.health == dataclasses.replace(spool.health(), fsync_p99_s=None)
        assert found.backlogs == {"a": Backlog(pending=1, dead=1), "b": Backlog(pending=2)}


def test_looking_changes_nothing(make_spool, candidate, clock):
    with make_spool() as spool:
        spool.accept([candidate("1")])
    before = listing(spool.directory)
    found = inspect_spool(spool.directory, now=clock.time())

    assert found.health.items == 1
    assert listing(spool.directory) == before


def test_an_empty_log_is_nobodys(make_spool, candidate, clock):
    """As an opening leaves it behind that failed on a full disk; to read it takes room, too."""
    with make_spool() as spool:
        spool.accept([candidate("1")])
    (spool.directory / "spool.db-wal").touch()
    before = listing(spool.directory)

    assert inspect_spool(spool.directory, now=clock.time()).health.items == 1
    assert listing(spool.directory) == before


def test_limits_count_as_spent_until_the_day_ends_after_a_rebuild(make_spool, candidate, clock):
    with make_spool() as spool:
        spool.accept([candidate("1")])
        assert spool.health().limits_spent_until is None
    break_index(spool.directory)
    day_ends = (clock.time() // 86400 + 1) * 86400
    with make_spool() as again:
        health = again.health()

        assert (health.limits_spent_until, health.set_aside) == (day_ends, 1)
        assert inspect_spool(again.directory, now=clock.time()).health == health
        clock.advance(86400)
        assert again.health().limits_spent_until is None
        found = inspect_spool(again.directory, now=clock.time())
        assert found.health.limits_spent_until is None


def test_a_ledger_of_another_kind_leaves_nothing_to_say(make_spool, candidate, clock):
    with make_spool() as spool:
        spool.accept([candidate("1")])
    with sqlite3.connect(spool.directory / "spool.db") as connection:
        connection.execute("DROP TABLE limit_lost")
    connection.close()

    found = inspect_spool(spool.directory, now=clock.time())
    assert found.health.limits_spent_until is None


def test_a_damaged_index_is_told_and_left_as_it_is(make_spool, candidate, clock):
    with make_spool() as spool:
        spool.accept([candidate("1")])
    break_index(spool.directory)
    before = listing(spool.directory)

    with pytest.raises(SpoolError, match=r"its index is damaged \(file is not a database\); when"):
        inspect_spool(spool.directory, now=clock.time())
    assert listing(spool.directory) == before


@pytest.mark.parametrize("version", [1, len(MIGRATIONS) + 1])
def test_an_index_of_another_version_is_not_read(make_spool, clock, version):
    with make_spool() as spool:
        pass
    with sqlite3.connect(spool.directory / "spool.db") as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()

    with pytest.raises(SpoolError, match=f"its index has schema version {version}, and this"):
        inspect_spool(spool.directory, now=clock.time())


def test_a_spool_without_an_index_is_told(tmp_path):
    with pytest.raises(SpoolError, match="it has no index; the next start builds one"):
        inspect_spool(tmp_path, now=0.0)


def test_an_index_that_cannot_be_opened_is_told(tmp_path, monkeypatch):
    (tmp_path / "spool.db").touch()

    def broken(*_, **__):
        raise OSError("injected")

    monkeypatch.setattr(sqlite3, "connect", broken)
    with pytest.raises(SpoolError, match="injected; check that the directory exists"):
        inspect_spool(tmp_path, now=0.0)
