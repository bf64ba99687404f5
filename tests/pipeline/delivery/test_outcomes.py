"""What each answer of a sink means; one step at a time, on the test's own thread."""

import logging
import random

import pytest

from al_framework.api import PermanentSinkError, Receipt, SinkPausedError, TransientSinkError
from al_framework.pipeline.delivery import RetryRules

CREATED = Receipt(status="created", remote_id="r1", url="http://x/1")
DEAD = 2
NOW = 1_700_000_000.0


def steps(delivery) -> int:
    count = 0
    while delivery.step():
        count += 1
    return count


def test_a_delivered_datapoint_leaves_the_spool_and_is_announced(bench):
    heard = []
    delivery = bench.delivery(
        {"s": bench.scripted(CREATED)}, on_delivered=lambda *event: heard.append(event)
    )
    (item,) = bench.accept()

    assert delivery.step()
    assert not delivery.step()
    assert bench.spools[0].stats().items == 0
    assert [("s", item, CREATED)] == [(sink, d.item_id, r) for sink, d, r in heard]
    counts = delivery.counts()["s"]
    assert (1, 1, 0, 0) == (counts.accepted, counts.delivered, counts.duplicates, counts.pending)


def test_a_duplicate_is_delivered_and_its_credit_returns(bench):
    delivery = bench.delivery({"s": bench.scripted(Receipt(status="duplicate"))})
    bench.accept()
    before = bench.ledger.used("a", bench.clock.time())["daily"]

    delivery.step()

    assert (1, 1) == (delivery.counts()["s"].delivered, delivery.counts()["s"].duplicates)
    assert (1, 0) == (before, bench.ledger.used("a", bench.clock.time())["daily"])


def test_a_transient_error_puts_the_datapoint_back_with_growing_delays(bench):
    sink = bench.scripted(TransientSinkError("busy"), TransientSinkError("busy"), CREATED)
    delivery = bench.delivery({"s": sink})
    bench.accept()
    draws = random.Random(5)
    delays = []
    for _ in range(2):
        steps(delivery)
        delays.append(bench.rows("s")[0][2])
        assert not delivery.step()
        bench.clock.advance(delays[-1] + 0.001)
    steps(delivery)

    assert delays == pytest.approx([draws.uniform(0.2, 2), draws.uniform(0.2, 4)])
    assert len(sink.calls) == 3
    assert (1, 2) == (delivery.counts()["s"].delivered, delivery.counts()["s"].retried)


def test_other_datapoints_do_not_wait_for_one_that_failed(bench):
    sink = bench.scripted(TransientSinkError("busy"), CREATED)
    delivery = bench.delivery({"s": sink})
    bench.accept(2)

    assert steps(delivery) == 2
    assert (1, 1) == (delivery.counts()["s"].delivered, delivery.counts()["s"].pending)


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(30.0, 30.0), (0.0, 0.2), (-5.0, 0.2), (float("nan"), 0.2), (1e9, 3600.0), (3600, 3600.0)],
)
def test_a_sink_may_ask_to_be_left_alone(bench, asked, waited):
    delivery = bench.delivery(
        {"s": bench.scripted(TransientSinkError("429", retry_after_s=asked), CREATED)}
    )
    bench.accept(2)

    assert steps(delivery) == 1  # the whole sink waits, not only the datapoint
    assert bench.rows("s")[0][2] == pytest.approx(waited)
    assert {"retry_after": 1} == delivery.counts()["s"].retries
    bench.clock.advance(waited - 0.01)
    assert steps(delivery) == 0
    bench.clock.advance(0.02)
    assert steps(delivery) == 2


def test_after_twelve_failures_while_others_get_through_a_datapoint_is_dead(bench):
    def refuse_the_first(datapoint, checkpoint):
        calls.append(datapoint.item_id)
        if datapoint.item_id == "item-1":
            raise TransientSinkError("HTTP 503")
        return CREATED

    calls = []
    delivery = bench.delivery({"s": refuse_the_first})
    bench.accept()
    while not delivery.counts()["s"].dead:
        bench.accept()
        steps(delivery)
        bench.clock.advance(600)

    assert calls.count("item-1") == 12
    assert bench.reason("s") == "gave up after 12 attempts, the last of which: HTTP 503"
    counts = delivery.counts()["s"]
    assert (1, 11, 0) == (counts.dead, counts.retried, counts.pending)
    assert ({"attempts": 1}, {"transient": 11}) == (counts.given_up, counts.retries)


def test_trouble_is_told_once_and_its_end_too(bench, caplog):
    caplog.set_level(logging.INFO, logger="al_framework.pipeline.delivery")
    sink = bench.scripted(*[TransientSinkError("no network")] * 3, CREATED)
    delivery = bench.delivery({"s": sink})
    bench.accept(3)
    for _ in range(6):
        steps(delivery)
        bench.clock.advance(4000)

    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "sink 's': does not deliver at the moment, and is tried again: no network",
        "sink 's': delivers again",
    ]


def test_a_permanent_error_gives_the_datapoint_up_with_its_reason(bench, caplog):
    delivery = bench.delivery({"s": bench.scripted(PermanentSinkError("image too large"), CREATED)})
    first, _ = bench.accept(2)

    assert steps(delivery) == 2
    assert bench.rows("s")[0][:2] == (first, DEAD)
    assert bench.reason("s") == "image too large"
    assert (1, 1) == (delivery.counts()["s"].dead, delivery.counts()["s"].delivered)
    assert {"refused": 1} == delivery.counts()["s"].given_up
    assert bench.ledger.used("a", bench.clock.time())["daily"] == 1
    assert f"sink 's': datapoint '{first}' is given up: image too large" in caplog.text


TOO_LATE = TransientSinkError("no answer within 30 s")
BUSY = TransientSinkError("busy", may_be_stored=False)
NEVER = PermanentSinkError("too large")
BAD_KEY = SinkPausedError("the key is refused")


@pytest.mark.parametrize(
    ("answers", "used"),
    [
        ((BUSY, BUSY), 0),
        ((TOO_LATE, TOO_LATE), 1),
        ((TOO_LATE, BUSY), 1),
        ((BUSY, TOO_LATE), 1),
        ((BUSY, NEVER), 0),
        ((BAD_KEY, NEVER), 0),
        ((TOO_LATE, NEVER), 1),
        ((ValueError("a bug"), NEVER), 1),
        ((ValueError("a bug"),) * 3, 1),
    ],
)
def test_a_credit_returns_only_if_every_attempt_was_refused(bench, answers, used):
    rules = RetryRules(max_attempts=2, max_faults=3)
    delivery = bench.delivery({"s": bench.scripted(*answers)}, rules=rules)
    bench.accept()
    for _ in answers:
        assert delivery.step()
        bench.clock.advance(4000)

    assert delivery.counts()["s"].dead == 1
    assert bench.ledger.used("a", NOW)["daily"] == used


def test_a_paused_sink_burns_no_attempt_and_pauses_longer_each_time(bench, caplog):
    delivery = bench.delivery({"s": bench.scripted(SinkPausedError("the key is refused"))})
    bench.accept(2)
    pauses = []
    for expected in (300, 600, 1200, 2400, 3600, 3600):
        assert steps(delivery) == 1
        bench.clock.advance(expected - 1)
        assert steps(delivery) == 0
        bench.clock.advance(1)
        pauses.append(expected)

    assert [0, 0] == [attempts for _, _, _, attempts in bench.rows("s")]
    assert (0, 2, 0) == (
        delivery.counts()["s"].dead,
        delivery.counts()["s"].pending,
        delivery.counts()["s"].retried,
    )
    assert (
        "sink 's': paused for 300 s, its datapoints wait in the spool: the key is refused"
        in caplog.text
    )


def test_a_success_forgets_earlier_pauses(bench):
    broken = SinkPausedError("key")
    delivery = bench.delivery({"s": bench.scripted(broken, CREATED, broken, CREATED)})
    bench.accept(3)
    steps(delivery)
    bench.clock.advance(300)

    assert steps(delivery) == 2  # a success, and the next pause
    bench.clock.advance(300)
    assert steps(delivery) == 2


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (RuntimeError("bug"), "RuntimeError: bug"),
        (None, "TypeError: sink 's' returned None instead of a Receipt"),
        (
            Receipt(status="ok"),
            (
                "TypeError: sink 's' returned Receipt(status='ok', remote_id=None, url=None): "
                "status is 'created' or 'duplicate', remote_id and url are text or None"
            ),
        ),
        (
            Receipt(status="created", remote_id=7),
            (
                "TypeError: sink 's' returned Receipt(status='created', remote_id=7, url=None): "
                "status is 'created' or 'duplicate', remote_id and url are text or None"
            ),
        ),
        (
            lambda checkpoint: checkpoint.save(remote_id=7),
            (
                "TypeError: checkpoint of 'item-1': 'remote_id' is 7, which is not a string; save"
                " strings only"
            ),
        ),
    ],
)
def test_a_faulty_sink_has_three_tries_and_one_traceback(bench, caplog, answer, text):
    sink = bench.scripted(answer)
    delivery = bench.delivery({"s": sink})
    bench.accept()
    while delivery.counts()["s"].pending:
        steps(delivery)
        bench.clock.advance(600)

    assert len(sink.calls) == 3
    counts = delivery.counts()["s"]
    assert ({"fault": 1}, {"fault": 2}) == (counts.given_up, counts.retries)
    assert bench.reason("s") == f"failed 3 times unexpectedly, at last with {text}"
    kind, _, message = text.partition(": ")
    reports = [r for r in caplog.records if r.levelno == logging.ERROR]
    shown = f"sink 's': failed with {kind}, which is a fault of the sink: {message}"
    assert {f"{shown}: repair or update its plugin"} == {record.getMessage() for record in reports}
    assert [True, False, False] == [record.exc_info is not None for record in reports]


def test_a_checkpoint_survives_a_failed_attempt(bench):
    def upload_then_fail(checkpoint):
        checkpoint.save(remote_id="r1")
        checkpoint.save(step="uploaded")
        assert dict(checkpoint.state) == {"remote_id": "r1", "step": "uploaded"}
        return TransientSinkError("annotate failed")

    sink = bench.scripted(upload_then_fail, CREATED)
    delivery = bench.delivery({"s": sink})
    bench.accept()
    steps(delivery)
    bench.clock.advance(2)
    steps(delivery)

    assert [{}, {"remote_id": "r1", "step": "uploaded"}] == [state for _, state in sink.calls]


def test_a_checkpoint_cannot_be_written_to_by_hand(bench):
    def cheat(checkpoint):
        checkpoint.state["x"] = "y"

    delivery = bench.delivery({"s": bench.scripted(cheat)})
    bench.accept()
    steps(delivery)

    assert bench.reason("s").startswith("TypeError: 'mappingproxy' object does not support item")


def test_a_sink_that_is_down_does_not_stop_the_other(bench):
    up = bench.scripted(CREATED)
    delivery = bench.delivery({"down": bench.scripted(SinkPausedError("key")), "up": up})
    bench.accept(3)
    steps(delivery)

    assert len(up.calls) == 3
    assert (3, 3) == (delivery.counts()["down"].pending, delivery.counts()["up"].delivered)


def test_sinks_take_turns(bench):
    order = []

    def named(name):
        def deliver(datapoint, checkpoint):
            order.append(name)
            return CREATED

        return deliver

    delivery = bench.delivery({name: named(name) for name in "abc"})
    bench.accept(3)
    steps(delivery)

    assert ["a", "b", "c"] * 3 == order


def test_delays_double_up_to_ten_minutes():
    class Longest(random.Random):
        def uniform(self, low, high):
            assert low == 0.2
            return high

    rules = RetryRules()

    assert [2, 4, 8, 512, 600, 600] == [
        rules.backoff_s(n, Longest()) for n in (1, 2, 3, 9, 10, 10_000)
    ]
