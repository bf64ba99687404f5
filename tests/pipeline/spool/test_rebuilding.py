"""An index that is lost, damaged or replaced is set aside and built anew from the group files."""

import shutil
from pathlib import Path

import pytest

from al_framework.api import Receipt, SpoolError
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool.soundness import set_aside

DAILY = {"a": [LimitRule(period="daily", value=3)]}


def damage_index(directory: Path, *, how: str) -> None:
    index = directory / "spool.db"
    if how == "no database":
        index.write_bytes(b"no database at all, but long enough to be one" * 100)
    elif how == "broken page":
        data = bytearray(index.read_bytes())
        data[4096:8192] = b"\x5a" * 4096
        index.write_bytes(data)
    elif how == "empty":
        index.write_bytes(b"")
    else:
        index.unlink()
    for suffix in ("-wal", "-shm"):
        index.with_name(index.name + suffix).unlink(missing_ok=True)


@pytest.mark.parametrize("how", ["no database", "broken page", "empty", "missing"])
def test_a_lost_index_is_built_anew_from_the_group_files(make_spool, candidate, key, caplog, how):
    ledger = SqliteLedger(DAILY, scope="s")
    spool = make_spool(sinks=("s1", "s2"), ledger=ledger)
    spool.accept([candidate("1"), candidate("2", sinks=("s2",))])
    spool.accept([candidate("3")])
    spool.deliveries.deliver(spool.deliveries.take("s1"), Receipt(status="created"))
    spool.close()
    damage_index(make_spool.directory, how=how)

    spool = make_spool(sinks=("s1", "s2"), ledger=ledger)

    assert "built its index anew with 3 datapoints from the group files" in caplog.text
    aside = list(make_spool.directory.glob("spool.db.corrupt-1700000000"))
    assert len(aside) == (how in ("no database", "broken page"))
    assert (2, 3) == tuple(spool.counts()[sink].recovered for sink in ("s1", "s2"))
    assert spool.stats().items == 3
    assert spool.seen(key("cam/1"))
    assert spool.find("cam/1")[0].detail["matching"] == ["a"]
    loaded = [spool.deliveries.load(spool.deliveries.take("s2")) for _ in range(3)]
    assert ["item-1", "item-2", "item-3"] == sorted(d.item_id for d in loaded)
    # Nobody knows how much was spent, so everything is, until the windows end.
    assert ledger.peek(["a"], make_spool.clock.time()) is None
    assert ledger.peek(["a"], make_spool.clock.time() + 86400) == "a"
    spool.accept([candidate("4", matching=("a", "free"))])


def test_an_index_set_aside_twice_keeps_both(make_spool):
    make_spool().close()
    for _ in range(2):
        damage_index(make_spool.directory, how="no database")
        make_spool().close()

    names = sorted(path.name for path in make_spool.directory.glob("*.corrupt-*"))
    assert ["spool.db.corrupt-1700000000", "spool.db.corrupt-1700000000-1"] == names


def test_the_log_of_a_damaged_index_goes_aside_with_it(make_spool):
    make_spool().close()
    damage_index(make_spool.directory, how="no database")
    (make_spool.directory / "spool.db-wal").write_bytes(b"stale")

    make_spool()

    # SQLite itself may already have discarded a log that it could not read.
    assert not (make_spool.directory / "spool.db-wal").read_bytes().startswith(b"stale")


def test_rebuilding_leaves_out_what_is_no_datapoint(make_spool, candidate, group_files, caplog):
    from al_framework.pipeline.spool.groupfile import GroupItem, write_group

    make_spool().accept([candidate("1")])
    make_spool.opened[0].close()
    hour = group_files()[0].parent
    write_group(hour / "odd.als", [GroupItem(b"picture", b"[]"), GroupItem(b"picture", b"{}")])
    (hour / "noise.als").write_bytes(b"noise")
    (hour / "notes.txt").write_bytes(b"no group file")
    (make_spool.directory / "obj" / "stray").write_bytes(b"no directory")
    shutil.copy(group_files()[0], hour / "copy.als")
    (hour / "link.als").symlink_to(group_files()[0])
    damage_index(make_spool.directory, how="missing")

    spool = make_spool()

    assert spool.stats().items == 1
    assert "group file '2023111422/odd.als', offset 0: left out: the metadata" in caplog.text


def test_an_index_replaced_by_another_process_is_noticed(make_spool, candidate, key):
    spool = make_spool(rules=DAILY)
    spool.accept([candidate("1")])
    other = make_spool(rules=DAILY)
    with other._database._lock:
        set_aside(make_spool.directory / "spool.db", 1.0)
    third = make_spool(rules=DAILY)

    spool.accept([candidate("2", matching=("free",))])

    assert third.stats().items == spool.stats().items == 2
    assert spool.seen(key("cam/2"))
    assert third.seen(key("cam/2"))


def test_an_index_that_disappears_is_a_spool_error(make_spool, candidate):
    spool = make_spool()
    (make_spool.directory / "spool.db").unlink()

    with pytest.raises(
        SpoolError, match=r"its index was removed while in use; restart to build a new one$"
    ):
        spool.accept([candidate("1")])
    with pytest.raises(SpoolError, match="its index was removed while in use"):
        spool.close()
    assert not (make_spool.directory / "spool.db").exists()


def test_a_schema_that_is_no_text_any_more_is_damage(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])
    spool.close()
    index = make_spool.directory / "spool.db"
    whole = index.read_bytes()
    index.write_bytes(whole.replace(b"CREATE TABLE item", b"CREATE TABL\xe9 item"))

    assert index.read_bytes() != whole
    assert make_spool().find("cam/1")
