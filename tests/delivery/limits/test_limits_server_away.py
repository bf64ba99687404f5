"""A collector whose limits are kept by a Redis server that is not there."""

import time

import pytest

from al_framework import Collector
from al_framework.testing import sample_jpeg

HANG_S = 60.0


@pytest.fixture
def collector(durable_redis, tmp_path):
    document = {
        "name": "line",
        "active_learning": {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": [
                {
                    "name": "all",
                    "type": "random",
                    "traffic_percentage": 1.0,
                    "limits": [{"type": "daily", "value": 9000}],
                }
            ],
            "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
        },
        "sinks": [{"type": "directory", "path": str(tmp_path / "out"), "page": False}],
        "spool": {"path": str(tmp_path / "spool"), "min_free_bytes": 0},
        "limits": {"ledger": "redis", "redis_url": durable_redis.url},
    }
    with Collector.from_config(document) as collector:
        yield collector


def submit(collector, number):
    return collector.submit(sample_jpeg(64, 48, seed=number), wait_accepted_s=HANG_S)


def until_accepted(collector, first):
    deadline, number = time.monotonic() + HANG_S, first
    while submit(collector, number).status != "accepted":
        assert time.monotonic() < deadline
        number += 1
        time.sleep(0.05)
    return number + 1


@pytest.mark.parametrize("way", ["dead", "slow"])
def test_nothing_is_taken_while_the_server_is_away_and_all_goes_on_by_itself(
    collector, durable_redis, way
):
    number = until_accepted(collector, 0)
    if way == "dead":
        durable_redis.kill()
    else:
        durable_redis.stop()
    away = [submit(collector, number + n) for n in range(5)]
    if way == "dead":
        durable_redis.start()
    else:
        durable_redis.go_on()
    until_accepted(collector, number + 5)
    counts = collector.stats()

    assert {("dropped", "limiter_unavailable")} == {(each.status, each.reason) for each in away}
    assert counts.dropped["limiter_unavailable"] >= 5
    ends = counts.not_selected + counts.limited + counts.accepted + counts.queued
    assert counts.offered == ends + sum(counts.dropped.values())
    assert counts.accepted >= 2


def test_a_collector_starts_without_its_server_and_takes_frames_when_it_comes(
    collector, durable_redis
):
    durable_redis.kill()
    first = submit(collector, 0)
    durable_redis.start()

    until_accepted(collector, 1)

    assert ("dropped", "limiter_unavailable") == (first.status, first.reason)
