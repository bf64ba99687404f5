"""A collector's counters and its health, as Prometheus reads them.

Values are asked for when Prometheus scrapes and kept nowhere else: what a monitor sees is what
`Collector.stats` and `Collector.health` say. The extra ``metrics`` brings what this needs.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast, get_args, get_type_hints

from al_framework.api import (
    AlFrameworkError,
    Counts,
    Health,
    SinkCounts,
    SinkHealth,
    SpoolHealth,
    StrategyCounts,
    require,
)

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector as PrometheusCollector

LOCALHOST = "127.0.0.1"

# Values of the labels, in their order, with the number.
_Rows: TypeAlias = Mapping[tuple[str], float] | Mapping[tuple[str, str], float]

_UP = "Whether the spool could be asked."
_FRAMES: Mapping[str, str] = {
    "offered": "Frames handed to the engine.",
    "matched": "Frames that at least one strategy took.",
    "not_selected": "Frames that no strategy took.",
    "limited": "Frames that a strategy took, but every taker's limit was spent.",
    "accepted": "Frames that are on disk for delivery, or delivered already.",
    "skipped": "Frames of a source that an earlier run had dealt with.",
}
_STRATEGIES: Mapping[str, str] = {
    "evaluated": "Frames that the strategy was asked about.",
    "matched": "Frames that the strategy wanted.",
    "selected": "Frames that the strategy wanted and the draw granted.",
    "paid": "Frames whose place was taken from the strategy's limits.",
    "not_eligible": "Frames of a prediction type that the strategy does not read.",
    "failed": "Frames on which the strategy raised.",
}
_SINKS: Mapping[str, tuple[str, str]] = {
    "accepted": ("al_sink_accepted", "Datapoints accepted for the sink by this process."),
    "recovered": ("al_recovered", "Datapoints that an earlier process had left for the sink."),
    "delivered": ("al_delivered", "Datapoints that the sink holds, duplicates among them."),
    "duplicates": ("al_duplicates", "Datapoints that the sink held already."),
    "dead": ("al_dead", "Datapoints given up, which a person should look at."),
    "evicted": ("al_evicted", "Datapoints removed to make room."),
    "retried": ("al_retried", "Attempts that failed and were put back."),
}
_REASONS: Mapping[str, tuple[str, str, str]] = {
    "given_up": ("al_given_up", "reason", "Datapoints that this process has given up, by reason."),
    "retries": ("al_retries", "class", "Attempts of this process that were put back, by class."),
    "evictions": ("al_evictions", "policy", "Datapoints that this process removed, by policy."),
}
_STATES: tuple[str, ...] = get_args(get_type_hints(SinkHealth)["state"])


class Observed(Protocol):
    """What can be asked how it is doing: an `al_framework.Collector`, or a run."""

    def stats(self) -> Counts:
        """Return where every offered frame is by now."""
        ...

    def health(self) -> Health:
        """Return how everything is at the moment."""
        ...


def collector_metrics(collector: Observed) -> "PrometheusCollector":
    """Return what `prometheus_client` can register: ``REGISTRY.register(collector_metrics(c))``.

    Counters begin at zero with each process. If the spool cannot be read, its numbers are missing
    from that scrape and ``al_up`` is 0; a scrape never fails.

    Args:
        collector: What is observed, for as long as it is registered.

    Raises:
        MissingExtraError: `prometheus_client` is not installed.
    """
    # Registries ask for two methods and for no base class, which could only be had by importing.
    return cast("PrometheusCollector", _Metrics(collector, _families()))


def serve_metrics(observed: Observed, port: int) -> Callable[[], None]:
    """Answer Prometheus on a port of this machine alone, on a thread of its own.

    Args:
        observed: What is observed.
        port: Where; 0 for any free one.

    Returns:
        What stops it.

    Raises:
        MissingExtraError: `prometheus_client` is not installed.
        AlFrameworkError: The port cannot be used.
    """
    client = require("prometheus_client", extra="metrics")
    registry = client.CollectorRegistry()
    registry.register(collector_metrics(observed))
    try:
        server, thread = client.start_http_server(port, addr=LOCALHOST, registry=registry)
    except (OSError, OverflowError) as exc:
        raise AlFrameworkError(
            f"metrics: port {port} of {LOCALHOST} cannot be used: {exc}; choose another"
        ) from exc

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


@dataclass(frozen=True, slots=True, kw_only=True)
class _Families:
    """The two kinds of metric families that are used here."""

    counters: type[Any]
    gauges: type[Any]

    def counter(self, name: str, text: str, value: float) -> "Metric":
        metric: Metric = self.counters(name, text, value=value)
        return metric

    def gauge(self, name: str, text: str, value: float) -> "Metric":
        metric: Metric = self.gauges(name, text, value=value)
        return metric

    def counter_by(self, name: str, text: str, labels: tuple[str, ...], rows: _Rows) -> "Metric":
        return self._filled(self.counters(name, text, labels=labels), rows)

    def gauge_by(self, name: str, text: str, labels: tuple[str, ...], rows: _Rows) -> "Metric":
        return self._filled(self.gauges(name, text, labels=labels), rows)

    @staticmethod
    def _filled(family: Any, rows: _Rows) -> "Metric":
        for values, number in rows.items():
            family.add_metric(values, number)
        metric: Metric = family
        return metric


class _Metrics:
    """Asks at every scrape."""

    def __init__(self, observed: Observed, families: _Families) -> None:
        self._observed = observed
        self._families = families

    def describe(self) -> Iterator["Metric"]:
        """Return what there will be, so that no registry takes two collectors at a time."""
        return self.collect()

    def collect(self) -> Iterator["Metric"]:
        """Return every metric as it stands."""
        families = self._families
        try:
            counts, health = self._observed.stats(), self._observed.health()
        except AlFrameworkError:
            yield families.gauge("al_up", _UP, 0)
            return
        yield families.gauge("al_up", _UP, 1)
        yield from _of_frames(families, counts)
        yield from _of_strategies(families, counts.strategies)
        yield from _of_sinks(families, counts.sinks)
        yield from _of_health(families, health)


def _families() -> _Families:
    core = require("prometheus_client.metrics_core", extra="metrics")
    return _Families(counters=core.CounterMetricFamily, gauges=core.GaugeMetricFamily)


def _of_frames(families: _Families, counts: Counts) -> Iterator["Metric"]:
    for name, text in _FRAMES.items():
        yield families.counter(f"al_{name}", text, getattr(counts, name))
    yield families.counter_by(
        "al_dropped",
        "Frames lost, by reason.",
        ("reason",),
        {(reason,): number for reason, number in counts.dropped.items()},
    )
    yield families.gauge("al_queued", "Frames in memory, not yet accepted.", counts.queued)
    yield families.gauge(
        "al_document_left_out",
        "Keys and strategies of the document in force that are not known here.",
        counts.left_out,
    )


def _of_strategies(
    families: _Families, strategies: Mapping[str, StrategyCounts]
) -> Iterator["Metric"]:
    for field, text in _STRATEGIES.items():
        rows = {(name,): getattr(one, field) for name, one in strategies.items()}
        yield families.counter_by(f"al_strategy_{field}", text, ("strategy",), rows)
    yield families.gauge_by(
        "al_strategy_disabled",
        "Whether the strategy was switched off after too many failures in a row.",
        ("strategy",),
        {(name,): one.disabled for name, one in strategies.items()},
    )


def _of_sinks(families: _Families, sinks: Mapping[str, SinkCounts]) -> Iterator["Metric"]:
    for field, (name, text) in _SINKS.items():
        rows = {(sink,): getattr(one, field) for sink, one in sinks.items()}
        yield families.counter_by(name, text, ("sink",), rows)
    for field, (name, label, text) in _REASONS.items():
        by_reason = {
            (sink, reason): number
            for sink, one in sinks.items()
            for reason, number in getattr(one, field).items()
        }
        yield families.counter_by(name, text, ("sink", label), by_reason)
    yield families.gauge_by(
        "al_pending",
        "Datapoints that this process answers for and that the sink does not have yet.",
        ("sink",),
        {(sink,): one.pending for sink, one in sinks.items()},
    )


def _of_health(families: _Families, health: Health) -> Iterator["Metric"]:
    yield families.gauge("al_ring_items", "Frames that wait in memory.", health.queued_items)
    yield families.gauge("al_ring_bytes", "Bytes of their pictures.", health.queued_bytes)
    if health.spool is not None:
        yield from _of_spool(families, health.spool)
    yield from _of_sink_states(families, health.sinks)
    for name, text in (
        ("used", "Credits taken in the window of now."),
        ("limit", "Credits that there are in a window."),
    ):
        rows = {(one.strategy, one.period): getattr(one, name) for one in health.credits}
        yield families.gauge_by(f"al_credits_{name}", text, ("strategy", "window"), rows)


def _of_spool(families: _Families, spool: SpoolHealth) -> Iterator["Metric"]:
    gauge = families.gauge
    yield gauge("al_spool_items", "Datapoints on disk, dead letters included.", spool.items)
    yield gauge("al_spool_bytes", "Bytes of their pictures and metadata.", spool.bytes)
    yield gauge("al_spool_dead_items", "Dead letters on disk.", spool.dead_items)
    yield gauge("al_spool_dead_bytes", "Bytes of dead letters.", spool.dead_bytes)
    yield gauge(
        "al_spool_oldest_seconds",
        "Age of the oldest datapoint that still waits; 0 where none does.",
        spool.oldest_s or 0.0,
    )
    yield gauge("al_spool_disk_full", "Whether the disk has no room for more.", spool.full_disk)
    yield gauge("al_spool_set_aside", "Damaged files kept to be looked at.", spool.set_aside)
    yield gauge(
        "al_limits_spent_until_seconds",
        "Unix time until which limits count as spent since the index was built anew; 0 if none do.",
        spool.limits_spent_until or 0.0,
    )
    if spool.fsync_p99_s is not None:
        yield gauge(
            "al_spool_fsync_p99_seconds",
            "Time in which the last groups became durable, 99th percentile.",
            spool.fsync_p99_s,
        )
    yield families.counter(
        "al_spool_unclean_restarts",
        "Times that a process ended without closing the spool.",
        spool.unclean_restarts,
    )


def _of_sink_states(families: _Families, sinks: Mapping[str, SinkHealth]) -> Iterator["Metric"]:
    yield families.gauge_by(
        "al_sink_state",
        "1 for the state that the sink is in.",
        ("sink", "state"),
        {(name, state): one.state == state for name, one in sinks.items() for state in _STATES},
    )
    for field, name, text in (
        ("pending", "al_spool_pending", "Datapoints that wait for the sink, whoever brought them."),
        ("dead", "al_spool_dead_letters", "Dead letters of the sink, whoever brought them."),
    ):
        rows = {(sink,): getattr(one, field) for sink, one in sinks.items()}
        yield families.gauge_by(name, text, ("sink",), rows)
    lags = {
        (name, quantile): lag
        for name, one in sinks.items()
        for quantile, lag in (("0.5", one.lag_p50_s), ("0.99", one.lag_p99_s))
        if lag is not None
    }
    yield families.gauge_by(
        "al_delivery_lag_seconds",
        "Time from acceptance to delivery of the last deliveries.",
        ("sink", "quantile"),
        lags,
    )
