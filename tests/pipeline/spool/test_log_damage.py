"""A spool whose process was killed, and the log of its index damaged since, loses nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger

DAILY = {"a": [LimitRule(period="daily", value=50)]}
STRANGER = """
import sqlite3, sys
index = sqlite3.connect(sys.argv[1])
print(index.execute("SELECT count(*) FROM item").fetchone()[0])
index.close()
"""


@pytest.fixture
def left_behind(make_spool, candidate, tmp_path):
    """The directory of a spool with three datapoints, as a kill leaves it."""
    spool = make_spool(rules=DAILY)
    for name in "123":
        spool.accept([candidate(name)])
    directory = tmp_path / "left"
    shutil.copytree(spool.directory, directory)
    return directory


def log_of(directory):
    return directory / "spool.db-wal"


def set_aside(directory):
    return list(directory.glob("spool.db.corrupt-*"))


@pytest.mark.parametrize("place", [0.001, 0.3, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_datapoints_whose_commits_are_damaged_are_taken_from_the_group_files(
    make_spool, left_behind, caplog, place, how
):
    data = bytearray(log_of(left_behind).read_bytes())
    at = min(int(len(data) * place), len(data) - 1)
    if how == "flipped":
        data[at] ^= 0x10
    else:
        del data[at:]
    log_of(left_behind).write_bytes(data)
    ledger = SqliteLedger(DAILY, scope="scope")

    spool = make_spool(directory=left_behind, ledger=ledger)

    assert spool.stats().items == 3
    assert {spool.deliveries.take("s1").item_id for _ in range(3)} == {"item-1", "item-2", "item-3"}
    assert len(set_aside(left_behind)) == 3  # the index, its log, its shared memory
    assert ledger.used("a", make_spool.clock.time())["daily"] == 50
    assert "its index is damaged; it is kept as" in caplog.text


def test_a_log_that_is_as_it_was_left_is_used(make_spool, left_behind, caplog):
    ledger = SqliteLedger(DAILY, scope="scope")

    spool = make_spool(directory=left_behind, ledger=ledger)

    assert spool.stats().items == 3
    assert set_aside(left_behind) == []
    assert ledger.used("a", make_spool.clock.time())["daily"] == 3
    assert caplog.text == ""


def test_a_second_spool_in_the_process_does_not_give_back_the_locks_of_the_first(
    make_spool, candidate
):
    """SQLite in another process would take the first one for gone, and remove its log."""
    spool = make_spool()
    spool.accept([candidate("1")])
    log = log_of(spool.directory).stat().st_ino
    make_spool().close()

    counted = [count_elsewhere(spool.directory)]
    spool.accept([candidate("2")])
    counted.append(count_elsewhere(spool.directory))

    assert counted == [1, 2]
    assert log_of(spool.directory).stat().st_ino == log


def count_elsewhere(directory: Path) -> int:
    command = [sys.executable, "-c", STRANGER, str(directory / "spool.db")]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
