"""The locks that SQLite holds all the time, taken by hand."""

import sqlite3
import subprocess
import sys

import pytest

from al_framework.pipeline import crossing
from al_framework.pipeline.crossing import Crossing

HANG_S = 60.0
# Another process asks for the lock that SQLite needs before it removes a log.
ASK = """
import fcntl, sys
for name, (start, length) in (("", (0x40000002, 510)), ("-shm", (128, 1))):
    with open(sys.argv[1] + name, "r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
        except BlockingIOError:
            print("held")
        else:
            print("free")
"""
HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX, 510, 0x40000002)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def index(tmp_path):
    path = tmp_path / "spool.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (x)")
    names = [path, tmp_path / "spool.db-shm"]
    data = [name.read_bytes() for name in names]
    connection.close()
    for name, content in zip(names, data, strict=True):  # as one that is open elsewhere
        name.write_bytes(content)
    return path


def ask(index):
    return subprocess.run(
        [sys.executable, "-c", ASK, str(index)],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=True,
    ).stdout.split()


def test_the_locks_are_those_of_sqlite(index):
    assert ask(index) == ["free", "free"]
    inherited = Crossing(index)

    assert inherited.hold_locks()
    assert ask(index) == ["held", "held"]


def test_sqlite_itself_holds_them(tmp_path):
    connection = sqlite3.connect(tmp_path / "spool.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (x)")

    assert ask(tmp_path / "spool.db") == ["held", "held"]
    connection.close()


@pytest.mark.parametrize("suffix", ["", "-shm"])
@pytest.mark.parametrize("how", ["gone", "another"])
def test_it_is_too_late_once_a_file_is_not_the_same_any_more(index, suffix, how):
    inherited = Crossing(index)
    path = index.with_name(f"{index.name}{suffix}")
    path.rename(index.with_name("away"))
    if how == "another":
        path.write_bytes(b"")

    assert not inherited.hold_locks()


def test_it_is_too_late_if_somebody_keeps_the_lock(index, monkeypatch):
    monkeypatch.setattr(crossing, "_WAIT_S", 0.01)
    inherited = Crossing(index)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(index)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        assert not inherited.hold_locks()
        other.stdin.close()
