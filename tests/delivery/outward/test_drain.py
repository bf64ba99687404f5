"""Stopping in the worst moment: the ring is full, and the sink hangs."""

import json
import signal

from al_framework.pipeline.spool.locking import FileLock

DEADLINE_S = 1.0
HANG_S = 60.0  # much more than the deadline: a busy machine is no failure, a hang is one


def test_a_full_ring_goes_to_disk_and_leases_go_back_while_the_sink_hangs(yard, size, start_child):
    for round_ in range(size.pick(ci=3, full=20, soak=200)):
        directory = yard.directory.parent / f"spool-{round_}"
        process = start_child("drain", directory, DEADLINE_S)
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=HANG_S)
        assert process.returncode == 0, errors
        report = json.loads(output)
        yard.directory = directory
        with yard.spool("hangs") as spool:
            held, pending = spool.stats().items, spool.counts()["hangs"].pending
            with spool._database.read() as tx:
                leases = tx.execute(
                    "SELECT count(*) FROM delivery WHERE owner IS NOT NULL"
                ).fetchone()[0]
        lock = FileLock(directory / "deliver.lock")
        is_free = lock.try_acquire()
        lock.release()
        lock.close()

        assert (report["queued"], report["dropped"]) == (0, {"ring_full": 1})
        assert report["offered"] == report["accepted"] + 1
        assert report["accepted"] == held == pending == report["pending"]
        assert (leases, is_free) == (0, True)
        assert "al-spool" not in report["left"]


def test_what_was_left_behind_is_delivered_by_the_next_process(yard, start_child):
    process = start_child("drain", yard.directory, 0.2)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=HANG_S)
    spool = yard.spool("hangs")
    delivery = yard.delivery(spool, {"hangs": lambda datapoint, _: yard.remote.store(datapoint)})

    assert delivery.drain(HANG_S)
    assert len(yard.remote.bytes) == json.loads(output)["accepted"]
    assert set(yard.remote.tries.values()) == {1}
