"""Damaged files and rows cost the datapoint they belong to and no other."""

import errno
from pathlib import Path

import pytest

from al_framework.api import SpoolError
from al_framework.pipeline.spool import CorruptItemError


def test_a_damaged_datapoint_is_reported_and_its_neighbour_is_not(spool, group_files):
    path = group_files()[0]
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    first, second = (spool.deliveries.take("s1") for _ in range(2))

    with pytest.raises(CorruptItemError, match=r"offset 0: the bytes do not match their checksum$"):
        spool.deliveries.load(first)
    assert spool.deliveries.load(second).item_id == "item-2"


def test_metadata_of_another_kind_are_corrupt(make_spool, candidate, group_files, monkeypatch):
    monkeypatch.setattr(
        "al_framework.pipeline.spool.accepting.encode_meta",
        lambda *_: b'{"datapoint": {}, "key": null, "sinks": []}',
    )
    spool = make_spool()
    spool.accept([candidate("1")])

    with pytest.raises(CorruptItemError, match="offset 0: the values are no datapoint: KeyError"):
        spool.deliveries.load(spool.deliveries.take("s1"))


def damage(spool, sql):
    with spool._database.locked(), spool._database.transaction() as tx:
        tx.execute(sql)


@pytest.mark.parametrize(
    "damaged",
    [
        "image_bytes = 1 << 60",
        "image_bytes = 'x'",
        "meta_bytes = -1",
        "offset = 1 << 62",
        "offset = 1.5",
        "file = 'a' || char(0) || 'b'",
        "file = x'ff'",
    ],
)
def test_a_place_that_cannot_be_is_corrupt_and_not_even_read(spool, damaged):
    damage(spool, f"UPDATE item SET {damaged} WHERE item_id = 'item-1'")  # noqa: S608 - constants
    leases = {lease.number: lease for lease in (spool.deliveries.take("s1") for _ in range(2))}

    with pytest.raises(CorruptItemError, match=r"^group file "):
        spool.deliveries.load(leases[1])
    assert spool.deliveries.load(leases[2]).item_id == "item-2"


@pytest.mark.parametrize("checkpoint", ["z}", "[]", '{"a": 1}', "", "[" * 100_000])
def test_a_damaged_checkpoint_is_none(spool, checkpoint):
    with spool._database.locked(), spool._database.transaction() as tx:
        tx.execute("UPDATE delivery SET checkpoint = ?", (checkpoint,))

    assert spool.deliveries.take("s1").checkpoint == {}


def test_damaged_numbers_are_zero(spool):
    damage(
        spool,
        "UPDATE delivery SET attempts = 'x', tries = x'ff', faults = 'x', active_at = 9e999",
    )

    lease = spool.deliveries.take("s1")
    assert (0, 0, 0.0) == (lease.attempts, lease.faults, lease.active_at)


@pytest.mark.parametrize("owner", ["'x'", "'12x:1:1/1/0'", "x'ff'", "7", "'1:99999999999:b/1/0'"])
def test_a_lease_whose_owner_is_damaged_is_freed(spool, owner):
    spool.deliveries.take("s1")
    damage(spool, f"UPDATE delivery SET lease_until = 'x', owner = {owner} WHERE owner > ''")  # noqa: S608 - constants
    spool.deliveries.reclaim(("s1",))

    assert spool.deliveries.take("s1").item_id == "item-1"


def test_a_lease_with_a_damaged_end_is_over(make_spool, spool):
    other = make_spool(sinks=("s1", "s2"))
    other.deliveries.take("s1")
    damage(spool, "UPDATE delivery SET lease_until = 'x' WHERE owner IS NOT NULL")
    spool.deliveries.reclaim(("s1",))

    assert spool.deliveries.take("s1").item_id == "item-1"


def test_a_file_that_cannot_be_opened_at_the_moment_is_not_corrupt(spool, monkeypatch):
    def exhausted(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    lease = spool.deliveries.take("s1")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", exhausted)
        with pytest.raises(SpoolError, match=r"^spool '.*': group file '.*': Too many open files$"):
            spool.deliveries.load(lease)

    assert spool.deliveries.load(lease).item_id == "item-1"


def test_a_lack_of_memory_is_no_fault_of_the_datapoint(spool, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("al_framework.pipeline.spool.leases.decode_meta", exhausted)
    lease = spool.deliveries.take("s1")

    with pytest.raises(MemoryError):
        spool.deliveries.load(lease)


def test_group_files_that_are_gone_for_a_while_cost_nothing(spool):
    files, aside = spool.directory / "obj", spool.directory / "aside"
    files.rename(aside)
    lease = spool.deliveries.take("s1")
    with pytest.raises(SpoolError, match="No such file or directory"):
        spool.deliveries.load(lease)
    aside.rename(files)

    assert spool.deliveries.load(lease).item_id == lease.item_id
