"""What may have been accepted is never removed, only moved out of the way."""

import os

import pytest

from al_framework.api import Receipt
from al_framework.pipeline.spool import GcReport, SpoolLimits, rescuing


@pytest.fixture
def forget():
    """Let the index lose a datapoint, as after a loss of commits that nothing shows."""

    def lose(spool, *items):
        with spool._database.locked(), spool._database.transaction() as tx:
            for item in items:
                tx.execute("DELETE FROM seen WHERE item_id = ?", (item,))
                row = tx.execute(
                    "SELECT number, file FROM item WHERE item_id = ?", (item,)
                ).fetchone()
                tx.execute("DELETE FROM delivery WHERE number = ?", row[:1])
                tx.execute("DELETE FROM item WHERE number = ?", row[:1])
                tx.execute("DELETE FROM group_file WHERE file = ?", row[1:])

    return lose


def kept_in(directory):
    return sorted((directory / "damaged").glob("*"))


def test_a_file_that_the_index_has_lost_is_kept_and_can_be_delivered(
    make_spool, candidate, forget, tmp_path, caplog
):
    spool = make_spool()
    spool.accept([candidate("1"), candidate("2")])
    spool.accept([candidate("3")])
    forget(spool, "item-1", "item-2")

    report = spool.gc()

    [kept] = kept_in(make_spool.directory)
    assert (report.files, report.kept, spool.gc().kept) == (0, 1, 0)
    assert f"holds 2 datapoints that the index knows nothing of; it is kept as '{kept}'" in (
        caplog.text
    )
    found = spool.verify()
    assert (found.kept_files, found.kept_items, found.stray_files) == (1, 2, ())
    other = tmp_path / "other"
    (other / "obj" / "kept").mkdir(parents=True)
    os.rename(kept, other / "obj" / "kept" / kept.name)  # noqa: PTH104 - as a person would
    again = make_spool(directory=other)
    taken = [again.deliveries.take("s1") for _ in range(2)]
    assert [one.item_id for one in taken] == ["item-1", "item-2"]
    assert spool.verify().kept_files == 0


def test_the_leader_s_broom_keeps_it_as_well(make_spool, candidate, group_files, forget):
    spool = make_spool()
    spool.accept([candidate("1")])
    os.utime(group_files()[0], (1, 1))
    forget(spool, "item-1")
    spool.sweep_step()

    assert spool.sweep_step() == GcReport(kept=1)
    assert len(kept_in(make_spool.directory)) == 1
    assert group_files() == []


def test_a_file_whose_datapoints_have_all_ended_is_removed(make_spool, candidate, group_files):
    spool = make_spool()
    spool.accept([candidate("1"), candidate("2")])
    path = group_files()[0]
    data = path.read_bytes()
    for _ in range(2):
        spool.deliveries.deliver(spool.deliveries.take("s1"), Receipt(status="created"))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)  # as if killed before it was removed

    report = spool.gc()

    assert (report.files, report.kept) == (1, 0)
    assert kept_in(make_spool.directory) == []


def test_what_no_datapoint_can_be_read_from_is_removed(make_spool, candidate, group_files):
    from al_framework.pipeline.spool.groupfile import GroupItem, write_group

    spool = make_spool()
    spool.accept([candidate("1")])
    hour = group_files()[0].parent
    (hour / "half.als").write_bytes(group_files()[0].read_bytes()[:-1])
    items = [GroupItem(b"picture", b"[]"), GroupItem(b"picture", b'{"key": null}')]
    write_group(hour / "odd.als", items)

    report = spool.gc()

    assert (report.files, report.kept) == (2, 0)


def test_what_cannot_be_read_is_kept(make_spool, candidate, group_files, monkeypatch, caplog):
    spool = make_spool()
    spool.accept([candidate("1")])
    (group_files()[0].parent / "large.als").write_bytes(b"more than that")
    monkeypatch.setattr("al_framework.pipeline.spool.groupfile.MAX_FILE_BYTES", 10)

    assert spool.gc().kept == 1
    assert "large.als': [Errno 27] File too large" in caplog.text


def test_the_oldest_go_when_it_is_too_much(make_spool, candidate, forget, caplog):
    size = 700
    spool = make_spool(limits=SpoolLimits(min_free_bytes=0, dead_max_bytes=2 * size + 200))
    for number in range(4):
        spool.accept([candidate(str(number), image=b"x" * 100)])
        forget(spool, f"item-{number}")
        spool.gc()
    kept = kept_in(make_spool.directory)

    assert sum(path.stat().st_size for path in kept) <= 2 * size + 200
    assert 0 < len(kept) < 4
    assert b"item-3" in kept[-1].read_bytes()
    assert "takes up more than 1600 bytes (dead_max_bytes)" in caplog.text


def test_it_is_kept_for_two_weeks(make_spool, candidate, forget, monkeypatch):
    spool = make_spool()
    spool.accept([candidate("1")])
    forget(spool, "item-1")
    spool.gc()
    changed = kept_in(make_spool.directory)[0].stat().st_ctime

    for late, left in ((-60, 1), (60, 0)):
        monkeypatch.setattr(
            make_spool.clock, "time", lambda late=late: changed + rescuing.KEEP_DAMAGED_S + late
        )
        spool.sweep_step()
        assert len(kept_in(make_spool.directory)) == left
