"""One bad datapoint in twenty: the others do not notice, and each is found out for what it is."""

import json

from al_framework.api import PermanentSinkError

HANG_S = 120.0
EVERY = 20


def is_bad(item_id):
    return int(item_id.rpartition("-")[2]) % EVERY == 7


def test_what_a_sink_refuses_is_dead_after_one_try_and_costs_no_other_request(
    yard, size, eventually
):
    count = size.pick(ci=300, full=2000, soak=10_000)

    def serve(datapoint, checkpoint):
        if is_bad(datapoint.item_id):
            yard.remote.tries[datapoint.item_id] += 1
            raise PermanentSinkError("HTTP 400: the image is refused")
        return yard.remote.store(datapoint)

    spool = yard.spool("s")
    delivery = yard.delivery(spool, {"s": serve})
    names = yard.accept(spool, count)
    delivery.start()

    assert eventually(lambda: spool.counts()["s"].pending == 0, HANG_S)
    bad = [name for name in names if is_bad(name)]
    assert dict.fromkeys(names, 1) == dict(yard.remote.tries)
    assert set(yard.remote.bytes) == set(names) - set(bad)
    letters = spool.dead.list()
    assert bad == sorted(letter.item_id for letter in letters)
    assert {"HTTP 400: the image is refused"} == {letter.reason for letter in letters}


def test_what_kills_the_process_is_dead_after_three_deaths_and_blames_no_other(
    yard, size, start_child
):
    """Four at once in each process, so that three neighbours are in hand whenever one dies."""
    count = size.pick(ci=40, full=200, soak=1000)
    spool = yard.spool("s")
    names = yard.accept(spool, count)
    spool.close()
    bad = [name for name in names if is_bad(name)]
    log = yard.directory.parent / "requests"
    deaths = 0
    while True:
        process = start_child("poison", yard.directory, log, *bad)
        report, errors = process.communicate(timeout=HANG_S)
        if process.returncode == 0:
            break
        assert process.returncode == 137, errors
        deaths += 1
        assert deaths <= 3 * len(bad)

    requests = log.read_text(encoding="ascii").split()
    assert deaths == 3 * len(bad)
    assert dict.fromkeys(bad, 3) == {name: requests.count(name) for name in bad}
    assert set(requests) == set(names)
    # A neighbour may have been in hand once when one died; it is not tried a third time.
    assert max(requests.count(name) for name in set(names) - set(bad)) <= 1 + len(bad)
    assert json.loads(report) == {"pending": 0, "dead": len(bad)}
    spool.open()
    assert {"crash: the process died 3 times in a row while it delivered it"} == {
        letter.reason for letter in spool.dead.list()
    }
