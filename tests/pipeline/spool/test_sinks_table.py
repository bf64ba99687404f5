"""What is written down about sinks, and read back by others."""

import pytest

from al_framework.pipeline.spool import Backlog, SinkRecord

OPEN = SinkRecord(
    name="s1", state="open", until=5.0, next_s=10.0, failures=7, reason="down", active_s=3.5
)


def test_what_is_saved_is_loaded_by_any_process(make_spool):
    one, two = make_spool(sinks=("s1", "s2")), make_spool(sinks=("s1", "s2"))
    one.sink_table.save([OPEN])

    assert {"s1": OPEN, "s2": SinkRecord(name="s2")} == two.sink_table.load(("s1", "s2"))


def test_every_sink_that_was_written_down_is_known_by_name(make_spool):
    spool = make_spool(sinks=("s1",))
    spool.sink_table.save([SinkRecord(name="s2"), OPEN])

    assert spool.sink_table.names() == ("s1", "s2")


def test_a_state_of_a_later_version_counts_as_closed(make_spool):
    spool = make_spool()
    spool.sink_table.save([OPEN])
    with spool._database.locked(), spool._database.transaction() as tx:
        tx.execute("UPDATE sink SET state = 'asleep'")

    assert {"s1": SinkRecord(name="s1", active_s=3.5)} == spool.sink_table.load(("s1",))


def test_the_backlog_is_counted_by_sink_whoever_brought_it(make_spool, candidate):
    one, two = make_spool(sinks=("s1", "s2")), make_spool(sinks=("s1", "s2"))
    one.accept([candidate("1"), candidate("2")])
    two.accept([candidate("3")])
    one.deliveries.give_up(one.deliveries.take("s1"), "x")

    expected = {"s1": Backlog(pending=2, dead=1), "s2": Backlog(pending=3), "s3": Backlog()}
    assert expected == two.sink_table.backlog(("s1", "s2", "s3"))
    assert {"s2": Backlog(pending=3)} == two.sink_table.backlog(("s2",))


@pytest.mark.parametrize("column", ["until", "next_s", "failures", "reason"])
def test_a_damaged_row_counts_as_closed_and_keeps_its_time_of_trying(make_spool, column):
    spool = make_spool()
    spool.sink_table.save([OPEN])
    with spool._database.locked(), spool._database.transaction() as tx:
        tx.execute(f"UPDATE sink SET {column} = x'ff'")  # noqa: S608 - constants

    assert {"s1": SinkRecord(name="s1", active_s=3.5)} == spool.sink_table.load(("s1",))


@pytest.mark.parametrize("value", ["x'ff'", "9e999", "'x'"])
def test_a_damaged_time_of_trying_begins_anew(make_spool, value):
    spool = make_spool()
    spool.sink_table.save([OPEN])
    with spool._database.locked(), spool._database.transaction() as tx:
        tx.execute(f"UPDATE sink SET active_s = {value}")  # noqa: S608 - constants

    assert {"s1": SinkRecord(name="s1")} == spool.sink_table.load(("s1",))


@pytest.mark.parametrize("value", [None, "{", "7", "null"])
def test_the_leaders_sinks_are_known_or_none_at_all(make_spool, value):
    spool = make_spool()
    nobody = spool.sink_table.served()
    spool.sink_table.announce(("s2", "s1"))
    announced = spool.sink_table.served()
    if value is not None:
        with spool._database.locked(), spool._database.transaction() as tx:
            tx.execute("UPDATE note SET value = ?", (value,))

    assert (frozenset(), frozenset({"s1", "s2"})) == (nobody, announced)
    assert (announced if value is None else frozenset()) == spool.sink_table.served()
