"""Several sinks: each has its own place in the queue, and a slow one delays nobody."""

import threading

HANG_S = 60.0


def test_a_sink_that_hangs_delays_no_other(yard, size, eventually):
    count = size.pick(ci=200, full=2000, soak=10_000)
    opened, inside = threading.Event(), []

    def hang(datapoint, checkpoint):
        inside.append(datapoint.item_id)
        assert opened.wait(HANG_S)
        return yard.remote.store(datapoint)

    def serve(datapoint, checkpoint):
        got.append(datapoint.item_id)
        return hang_never.store(datapoint)

    got, hang_never = [], type(yard.remote)()
    spool = yard.spool("slow", "quick")
    delivery = yard.delivery(spool, {"slow": hang, "quick": serve})
    delivery.start()
    names = yard.accept(spool, count)

    assert eventually(lambda: spool.counts()["quick"].delivered == count, HANG_S)
    counts = delivery.counts()["slow"]
    assert (0, count) == (counts.delivered, counts.pending)
    assert len(inside) <= 2  # its own slots, of four
    assert set(got[:16]) <= set(names[:32])  # the oldest first
    opened.set()
    assert eventually(lambda: spool.counts()["slow"].pending == 0, HANG_S)
    yard.judge()
    assert hang_never.bytes == yard.sent


def test_health_shows_which_of_them_lags(yard, eventually):
    opened = threading.Event()

    def hang(datapoint, checkpoint):
        assert opened.wait(HANG_S)
        return yard.remote.store(datapoint)

    other = type(yard.remote)()
    spool = yard.spool("slow", "quick")
    delivery = yard.delivery(spool, {"slow": hang, "quick": lambda d, _: other.store(d)})
    delivery.start()
    yard.accept(spool, 20)
    assert eventually(lambda: spool.counts()["quick"].delivered == 20, HANG_S)
    health = delivery.health()
    opened.set()

    assert (20, 0) == (health["slow"].pending, health["quick"].pending)
    assert health["slow"].lag_p50_s is None
    assert 0 <= health["quick"].lag_p50_s <= health["quick"].lag_p99_s
