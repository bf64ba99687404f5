import socket
import sys
import urllib.request

import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families

from al_framework.api import (
    AlFrameworkError,
    Counts,
    CreditUse,
    Health,
    MissingExtraError,
    SinkCounts,
    SinkHealth,
    SpoolError,
    SpoolHealth,
    StrategyCounts,
)
from al_framework.metrics import collector_metrics, serve_metrics

COUNTS = Counts(
    offered=20,
    matched=12,
    not_selected=8,
    limited=2,
    accepted=5,
    queued=1,
    dropped={"ring_full": 3, "invalid_image": 1},
    skipped=7,
    left_out=1,
    strategies={
        "unsure": StrategyCounts(
            evaluated=20, matched=12, selected=9, paid=5, not_eligible=2, failed=1, disabled=True
        )
    },
    sinks={
        "here": SinkCounts(
            accepted=5,
            recovered=4,
            delivered=4,
            duplicates=1,
            pending=3,
            dead=1,
            evicted=1,
            retried=6,
            given_up={"refused": 1},
            retries={"retry_after": 4, "transient": 2},
            evictions={"max_age": 1},
        )
    },
)
HEALTH = Health(
    queued_items=1,
    queued_bytes=1000,
    spool=SpoolHealth(
        items=6,
        bytes=6000,
        oldest_s=12.5,
        dead_items=2,
        dead_bytes=2000,
        full_disk=True,
        fsync_p99_s=0.02,
        unclean_restarts=3,
        set_aside=2,
        limits_spent_until=1_700_006_400.0,
    ),
    sinks={
        "here": SinkHealth(
            state="paused", until=5.0, reason="401", pending=4, dead=2, lag_p50_s=0.1, lag_p99_s=2.0
        )
    },
    credits=(CreditUse(strategy="unsure", period="daily", used=5, limit=7),),
)

EXPECTED = {
    "al_up": 1,
    "al_offered_total": 20,
    "al_matched_total": 12,
    "al_not_selected_total": 8,
    "al_limited_total": 2,
    "al_accepted_total": 5,
    "al_skipped_total": 7,
    "al_queued": 1,
    "al_document_left_out": 1,
    "al_dropped_total{reason=ring_full}": 3,
    "al_dropped_total{reason=invalid_image}": 1,
    "al_strategy_evaluated_total{strategy=unsure}": 20,
    "al_strategy_matched_total{strategy=unsure}": 12,
    "al_strategy_selected_total{strategy=unsure}": 9,
    "al_strategy_paid_total{strategy=unsure}": 5,
    "al_strategy_not_eligible_total{strategy=unsure}": 2,
    "al_strategy_failed_total{strategy=unsure}": 1,
    "al_strategy_disabled{strategy=unsure}": 1,
    "al_sink_accepted_total{sink=here}": 5,
    "al_recovered_total{sink=here}": 4,
    "al_delivered_total{sink=here}": 4,
    "al_duplicates_total{sink=here}": 1,
    "al_dead_total{sink=here}": 1,
    "al_evicted_total{sink=here}": 1,
    "al_retried_total{sink=here}": 6,
    "al_given_up_total{reason=refused,sink=here}": 1,
    "al_retries_total{class=retry_after,sink=here}": 4,
    "al_retries_total{class=transient,sink=here}": 2,
    "al_evictions_total{policy=max_age,sink=here}": 1,
    "al_pending{sink=here}": 3,
    "al_ring_items": 1,
    "al_ring_bytes": 1000,
    "al_spool_items": 6,
    "al_spool_bytes": 6000,
    "al_spool_dead_items": 2,
    "al_spool_dead_bytes": 2000,
    "al_spool_oldest_seconds": 12.5,
    "al_spool_disk_full": 1,
    "al_spool_fsync_p99_seconds": 0.02,
    "al_spool_unclean_restarts_total": 3,
    "al_spool_set_aside": 2,
    "al_limits_spent_until_seconds": 1_700_006_400.0,
    "al_sink_state{sink=here,state=delivering}": 0,
    "al_sink_state{sink=here,state=waiting}": 0,
    "al_sink_state{sink=here,state=open}": 0,
    "al_sink_state{sink=here,state=half_open}": 0,
    "al_sink_state{sink=here,state=paused}": 1,
    "al_spool_pending{sink=here}": 4,
    "al_spool_dead_letters{sink=here}": 2,
    "al_delivery_lag_seconds{quantile=0.5,sink=here}": 0.1,
    "al_delivery_lag_seconds{quantile=0.99,sink=here}": 2.0,
    "al_credits_used{strategy=unsure,window=daily}": 5,
    "al_credits_limit{strategy=unsure,window=daily}": 7,
}


class Collector:
    """Answers as a collector does."""

    def __init__(self, counts=COUNTS, health=HEALTH):
        self._counts, self._health = counts, health
        self.fault = None

    def stats(self):
        if self.fault is not None:
            raise self.fault
        return self._counts

    def health(self):
        return self._health


def read(text):
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def scrape(collector):
    registry = prometheus_client.CollectorRegistry()
    registry.register(collector_metrics(collector))
    return read(prometheus_client.generate_latest(registry).decode())


def test_every_count_and_every_fact_of_the_health_is_exported_once():
    assert scrape(Collector()) == EXPECTED


def test_the_exported_numbers_of_frames_add_up():
    found = scrape(Collector())
    dropped = sum(value for name, value in found.items() if name.startswith("al_dropped_total"))
    ends = ("al_not_selected_total", "al_limited_total", "al_accepted_total", "al_queued")

    assert found["al_offered_total"] == dropped + sum(found[name] for name in ends)


def test_the_exported_numbers_of_a_sink_add_up():
    found = scrape(Collector())
    came = found["al_sink_accepted_total{sink=here}"] + found["al_recovered_total{sink=here}"]
    ends = ("al_delivered_total", "al_pending", "al_dead_total", "al_evicted_total")

    assert came == sum(found[f"{name}{{sink=here}}"] for name in ends)


def test_what_is_not_known_is_not_exported():
    found = scrape(Collector(Counts(), Health(sinks={"here": SinkHealth()}, spool=SpoolHealth())))

    assert "al_spool_fsync_p99_seconds" not in found
    assert not [name for name in found if name.startswith("al_delivery_lag")]
    assert found["al_spool_oldest_seconds"] == 0
    assert found["al_sink_state{sink=here,state=delivering}"] == 1


def test_a_dry_run_has_no_spool():
    found = scrape(Collector(Counts(), Health()))

    assert not [name for name in found if name.startswith("al_spool")]


def test_a_spool_that_cannot_be_read_does_not_fail_the_scrape():
    collector = Collector()
    registry = prometheus_client.CollectorRegistry()
    registry.register(collector_metrics(collector))
    collector.fault = SpoolError("gone")

    assert read(prometheus_client.generate_latest(registry).decode()) == {"al_up": 0}

    collector.fault = None

    assert read(prometheus_client.generate_latest(registry).decode()) == EXPECTED


def test_a_registry_refuses_a_second_collector():
    registry = prometheus_client.CollectorRegistry()
    registry.register(collector_metrics(Collector()))

    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(collector_metrics(Collector()))


def test_the_server_answers_on_this_machine_alone_until_it_is_stopped():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stop = serve_metrics(Collector(), port)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            found = read(answer.read().decode())
    finally:
        stop()

    assert found == EXPECTED
    with socket.socket() as again:
        assert again.connect_ex(("127.0.0.1", port)) != 0


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(
            AlFrameworkError,
            match=rf"^metrics: port {port} of 127\.0\.0\.1 cannot be used: .*; choose another$",
        ):
            serve_metrics(Collector(), port)


@pytest.mark.parametrize("use", [collector_metrics, lambda collector: serve_metrics(collector, 0)])
def test_without_the_extra_one_sentence_says_how_to_install_it(monkeypatch, use):
    for name in [name for name in sys.modules if name.startswith("prometheus_client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    with pytest.raises(
        MissingExtraError, match=r"is not installed: run pip install 'al-framework\[metrics\]'$"
    ):
        use(Collector())
