"""Whoever takes over what others have left answers for it, at the price of one row."""

import pytest

from al_framework.api import Receipt
from al_framework.pipeline.spool import lives


@pytest.fixture
def ends(monkeypatch):
    """Let every process that has a life now end without a word."""

    def end(spool):
        with spool._database.locked(), spool._database.transaction() as tx:
            tx.execute("UPDATE life SET process = 'gone' WHERE process <> ''")

    real = lives.is_alive
    monkeypatch.setattr(lives, "is_alive", lambda process: process != "gone" and real(process))
    return end


def lives_of(spool):
    with spool._database.read() as tx:
        return tx.execute("SELECT life, heir, process <> '' FROM life ORDER BY life").fetchall()


def deliver_one(spool, status="created"):
    spool.deliveries.deliver(spool.deliveries.take("s1"), Receipt(status=status))


def test_an_ended_life_without_pending_deliveries_leaves_nothing(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])
    deliver_one(spool)
    spool.close()

    assert [(2, None, 1)] == lives_of(make_spool())


def test_what_is_pending_goes_from_heir_to_heir(make_spool, candidate):
    make_spool().accept([candidate("1"), candidate("2")])
    make_spool.opened[-1].close()
    second = make_spool()
    second.accept([candidate("3")])
    deliver_one(second)
    second.close()
    third = make_spool()
    deliver_one(third)

    assert [(1, 3, 0), (2, 3, 0), (3, None, 1)] == lives_of(third)
    counts = third.counts()["s1"]
    assert (2, 1, 1) == (counts.recovered, counts.delivered, counts.pending)


def test_a_life_whose_datapoints_are_all_delivered_is_forgotten(make_spool, candidate):
    make_spool().accept([candidate("1")])
    make_spool.opened[-1].close()
    spool = make_spool()
    deliver_one(spool)

    spool.deliveries.reclaim(("s1",))

    assert [(2, None, 1)] == lives_of(spool)


def test_an_ended_life_goes_on_counting_until_it_is_taken_over(make_spool, candidate):
    first, second = make_spool(), make_spool()
    first.accept([candidate("1"), candidate("2")])
    first.close()
    deliver_one(second)
    before = second.counts()["s1"].delivered

    second.deliveries.reclaim(("s1",))

    assert before == 0  # it answers for none of them yet
    assert (1, 1) == (second.counts()["s1"].recovered, second.counts()["s1"].pending)


def test_a_process_that_ended_without_closing_is_counted_once(make_spool, candidate, ends):
    first = make_spool()
    first.accept([candidate("1")])
    ends(first)

    second = make_spool()
    third = make_spool()

    assert (1, 1) == (second.health().unclean_restarts, third.health().unclean_restarts)
    assert (1, 0) == (second.counts()["s1"].recovered, third.counts()["s1"].recovered)


def test_a_clean_end_is_no_unclean_restart(make_spool, candidate):
    make_spool().accept([candidate("1")])
    make_spool.opened[-1].close()

    assert make_spool().health().unclean_restarts == 0


def test_whoever_only_looks_takes_nothing_over(make_spool, candidate):
    make_spool(sinks=("s1",)).accept([candidate("1")])
    make_spool.opened[-1].close()

    looking = make_spool(sinks=())
    counts = looking.counts()
    looking.close()

    assert counts == {}
    assert make_spool().counts()["s1"].recovered == 1


@pytest.mark.parametrize("count", [3, 30])
def test_taking_over_changes_as_many_rows_whatever_the_backlog(make_spool, candidate, count):
    make_spool().accept([candidate(str(n)) for n in range(count)])
    make_spool.opened[-1].close()

    spool = make_spool()

    assert spool.counts()["s1"].recovered == count
    assert spool._database._writer.total_changes < 8


@pytest.mark.parametrize("process", ["1234", "a:b:c", "x", "1:2:3:4", f"{1 << 70}:0:x", 5, b"\xff"])
def test_a_life_whose_process_cannot_be_read_has_ended(make_spool, candidate, process):
    spool = make_spool()
    spool.accept([candidate("1")])
    with spool._database.locked(), spool._database.transaction() as tx:
        tx.execute("UPDATE life SET process = ?", (process,))

    after = make_spool()

    assert (1, 1) == (after.counts()["s1"].recovered, after.health().unclean_restarts)
