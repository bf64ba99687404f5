"""Nothing of SQLite crosses a fork: no connection is open, and none is closed in the child."""

import pytest

from al_framework.api import SpoolError


@pytest.fixture
def parent(make_spool, candidate):
    """A spool all of whose connections are open."""
    spool = make_spool()
    spool.accept([candidate("1")])
    spool.stats()
    spool._ledger.used("a", 0.0)
    yield spool
    for one in listeners(spool):
        for connection in one._inherited:  # a child would leave them open for good
            connection.close()


def listeners(spool):
    return spool._database, spool._ledger


def test_nothing_is_open_at_the_moment_of_a_fork(parent, candidate):
    database, ledger = listeners(parent)
    for one in listeners(parent):
        one.before_fork()
    found = [database._writer, database._reader, ledger._reader, database._crossing]
    for one in listeners(parent):
        one.after_fork_in_parent()
    parent.accept([candidate("2")])

    assert found == [None] * 4
    assert parent.counts()["s1"].accepted == 2


def test_what_was_in_use_is_never_closed_in_the_child(parent, candidate, monkeypatch):
    database, ledger = listeners(parent)
    for module in ("spool.database", "limits.sqlite"):
        monkeypatch.setattr(f"al_framework.pipeline.{module}._FORK_WAIT_S", 0.01)
    before = [database._writer, database._reader, ledger._reader]
    with database._lock._mutex, database._read_mutex, ledger._lock:
        for one in listeners(parent):
            one.before_fork()
    database.after_fork()
    parent.after_fork()
    parent.accept([candidate("2")])

    assert before == [*database._inherited, *ledger._inherited]
    assert parent.counts()["s1"].accepted == 1  # in a life of its own


def test_a_fork_in_the_middle_is_refused_for_good(parent, candidate):
    database, ledger = listeners(parent)
    with database.read():
        database._crossing = type("Held", (), {"hold_locks": lambda _: True})()
        database.after_fork()
    ledger._is_lost = True

    with pytest.raises(SpoolError, match="in the middle of using the spool; fork again, or build"):
        parent.stats()
    database._is_lost = False
    with pytest.raises(SpoolError, match="in the middle of reading them; fork again, or build"):
        parent.accept([candidate("2")])
    ledger._is_lost = False
