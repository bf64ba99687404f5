"""Leases that are lost, files that are damaged and a spool that fails cost no datapoint."""

import pytest

from al_framework.api import LeaseLostError, Receipt, SpoolError

CREATED = Receipt(status="created", remote_id="r1", url="http://x/1")
PENDING, DEAD = 0, 2


def steps(delivery) -> int:
    count = 0
    while delivery.step():
        count += 1
    return count


def test_a_worker_that_lost_its_lease_stops_and_changes_nothing(bench, caplog):
    def slow(checkpoint):
        bench.spools[0].deliveries.reclaim(("s",), own=True)
        assert bench.spools[0].deliveries.take("s") is not None
        try:
            checkpoint.save(a="b")
        except LeaseLostError:
            assert dict(checkpoint.state) == {}
            raise

    delivery = bench.delivery({"s": bench.scripted(slow)})
    (item,) = bench.accept()

    assert delivery.step()
    assert [(item, PENDING, 0.0, 0)] == bench.rows("s")
    assert "another worker has taken over its delivery" in caplog.text


def test_a_damaged_datapoint_is_dead_and_never_shown_to_the_sink(bench, caplog):
    sink = bench.scripted(CREATED)
    delivery = bench.delivery({"s": sink})
    first, second = bench.accept(2)
    (path,) = (bench.directory / "obj").glob("*/*.als")
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)

    assert steps(delivery) == 2
    assert [second] == [item for item, _ in sink.calls]
    assert bench.rows("s")[0][:2] == (first, DEAD)
    assert bench.reason("s").startswith("corrupt: group file ")
    assert {"corrupt": 1} == delivery.counts()["s"].given_up
    assert bench.ledger.used("a", bench.clock.time())["daily"] == 1


def test_a_missing_file_is_corrupt(bench):
    delivery = bench.delivery({"s": bench.scripted(CREATED)})
    bench.accept()
    next((bench.directory / "obj").glob("*/*.als")).unlink()
    steps(delivery)

    assert bench.reason("s").endswith("No such file or directory")


def test_a_listener_that_fails_does_not_undo_the_delivery(bench, caplog):
    def fail(*_):
        raise RuntimeError("listener bug")

    delivery = bench.delivery({"s": bench.scripted(CREATED)}, on_delivered=fail)
    (item,) = bench.accept()
    steps(delivery)

    assert delivery.counts()["s"].delivered == 1
    assert f"sink 's': a listener failed on datapoint '{item}'" in caplog.text
    assert "listener bug" in caplog.text


def test_an_interrupt_leaves_the_datapoint_to_the_next_attempt(bench):
    delivery = bench.delivery({"s": bench.scripted(KeyboardInterrupt(), CREATED)})
    (item,) = bench.accept()

    with pytest.raises(KeyboardInterrupt):
        delivery.step()
    assert [(item, PENDING, 0.0, 0)] == bench.rows("s")
    assert steps(delivery) == 1


def test_what_cannot_be_written_down_is_delivered_again(bench, monkeypatch):
    def cannot(*_, **__):
        raise SpoolError("spool 'x': the disk is full")

    sink = bench.scripted(CREATED)
    delivery = bench.delivery({"s": sink})
    bench.accept()
    with monkeypatch.context() as patch, pytest.raises(SpoolError):  # noqa: PT012 - the context is the cause
        patch.setattr(bench.spools[0].deliveries, "deliver", cannot)
        delivery.step()
    before = delivery.step()
    bench.clock.advance(60)

    assert not before  # its lease is freed at the next look through the leases
    assert steps(delivery) == 1
    assert len(sink.calls) == 2


@pytest.mark.parametrize("error", [SpoolError("my own disk is full"), LeaseLostError("mine")])
def test_errors_of_the_spool_that_a_sink_raises_itself_are_its_own_faults(bench, error):
    sink = bench.scripted(error)
    delivery = bench.delivery({"s": sink})
    bench.accept()
    for _ in range(6):
        steps(delivery)
        bench.clock.advance(600)

    assert len(sink.calls) == 3
    assert bench.reason("s").startswith("failed 3 times unexpectedly, at last with ")


def test_a_checkpoint_that_cannot_be_kept_is_no_fault_of_the_sink(bench, monkeypatch):
    def cannot(*_):
        raise SpoolError("spool 'x': the disk is full")

    delivery = bench.delivery({"s": bench.scripted(lambda checkpoint: checkpoint.save(a="b"))})
    bench.accept()
    monkeypatch.setattr(bench.spools[0].deliveries, "checkpoint", cannot)

    with pytest.raises(SpoolError, match="the disk is full"):
        delivery.step()
    assert [0] == [attempts for *_, attempts in bench.rows("s")]


def test_a_file_that_cannot_be_removed_is_delivered_all_the_same(bench, caplog, monkeypatch):
    def cannot(file, now):
        raise PermissionError(1, "Operation not permitted")

    told = []
    delivery = bench.delivery(
        {"s": bench.scripted(CREATED)}, on_delivered=lambda *a: told.append(a)
    )
    items = bench.accept() + bench.accept()
    files = bench.spools[0]._files
    with monkeypatch.context() as patch:
        patch.setattr(files, "remove", cannot)
        steps(delivery)

    assert items == [datapoint.item_id for _, datapoint, _ in told]
    assert delivery.counts()["s"].delivered == 2
    (message,) = [m for m in caplog.messages if m.startswith("spool '")]
    assert message.endswith(
        ".als' is not needed any more and cannot be removed: Operation not permitted"
    )
    bench.accept()
    steps(delivery)
    assert delivery.counts()["s"].delivered == 3


def test_what_cannot_be_dealt_with_waits_ever_longer_and_stops_nobody(bench, caplog, monkeypatch):
    deliveries = bench.spool("s").deliveries
    deliver, tried = deliveries.deliver, []

    def fail(lease, receipt):
        if lease.item_id == "item-1":
            tried.append(bench.clock.time())
            raise TypeError("bad row")
        deliver(lease, receipt)

    monkeypatch.setattr(deliveries, "deliver", fail)
    delivery = bench.delivery({"s": bench.scripted(CREATED)})
    bench.accept(3)
    for _ in range(100):
        steps(delivery)
        bench.clock.advance(1)

    counts = delivery.counts()["s"]
    assert counts.delivered == 2
    assert {"unexpected": counts.retried} == counts.retries
    assert 3 <= len(tried) <= 30
    assert (
        "sink 's': datapoint 'item-1' cannot be dealt with and waits: TypeError: bad row; look at"
        " its spool with 'al spool verify'"
    ) in caplog.messages
    assert caplog.text.count("Traceback") == 1
