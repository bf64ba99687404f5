"""Bad pictures cost the others nothing: counted in requests, commits and waiting."""

import pytest

from al_framework.testing import Answer

SPREAD = {"one in twenty": slice(6, None, 20), "thirty in a row": slice(30)}
# By sink: its first request, how many there are, and the commits (lease, checkpoint, end).
PERFECT = {"webhook": ("message", 1, 2), "roboflow": ("upload", 2, 3)}


@pytest.mark.parametrize("spread", SPREAD)
@pytest.mark.parametrize("kind", PERFECT)
def test_pictures_that_are_refused_cost_no_other_request(  # noqa: PLR0917 - fixtures and a row
    line, service, monkeypatch, size, kind, spread
):
    count = size.pick(ci=100, full=400, soak=4000)
    first, requests, commits = PERFECT[kind]
    numbers = range(1, count + 1)
    bad = {f"item-{number}" for number in numbers[SPREAD[spread]]}
    _, one = line(kind)
    one.accept(count)
    service.faults[first] = [
        (Answer(status=400) if f"item-{number}" in bad else None, False) for number in numbers
    ]
    made, transaction = [], one.spool._database.transaction
    monkeypatch.setattr(one.spool._database, "transaction", lambda: made.append(1) or transaction())
    began = one.clock.monotonic()
    one.work()

    counts = one.delivery.counts()[kind]
    assert (count - len(bad), len(bad), 0) == (counts.delivered, counts.dead, counts.pending)
    assert bad == {letter.item_id for letter in one.spool.dead.list()}
    assert dict.fromkeys(one.sent, 1) == {name: service.count(first, name) for name in one.sent}
    assert len(service.asked) <= 1.1 * requests * count
    assert len(made) <= 1.1 * commits * count
    assert one.clock.monotonic() == began  # nobody had to wait
