"""What a run is called and what it counted; the words of the summary, the API and the metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One life of the engine, from start to close.

    Attributes:
        run_id: Names the run; sorts by time.
        name: The configuration's name.
        configuration_hash: Which configuration.
        seed: Seed of the draws.
        started_at: UTC epoch seconds.
    """

    run_id: str
    name: str
    configuration_hash: str
    seed: int
    started_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyCounts:
    """What one strategy did.

    Attributes:
        evaluated: Frames it was asked about.
        matched: Frames it wanted.
        selected: Frames it wanted and the draw granted.
        paid: Frames whose place was taken from its limits.
        not_eligible: Frames of a prediction type that it does not read.
        failed: Frames on which it raised.
        disabled: Whether it was switched off after too many failures in a row.
    """

    evaluated: int = 0
    matched: int = 0
    selected: int = 0
    paid: int = 0
    not_eligible: int = 0
    failed: int = 0
    disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkCounts:
    """What became of the datapoints at one sink.

    Always ``accepted + recovered = delivered + pending + dead + evicted``.

    Attributes:
        accepted: Datapoints accepted for it in this run.
        recovered: Datapoints that an earlier run had left for it.
        delivered: Datapoints it holds; `duplicates` are among them.
        duplicates: Datapoints that it held already.
        pending: Datapoints safe on disk and still to be delivered.
        dead: Datapoints given up, kept for a person to look at.
        evicted: Datapoints removed to make room.
        retried: Attempts that failed and were put back.
        given_up: Datapoints that this process has given up, by reason: ``refused`` for good,
            ``attempts`` or ``age`` (too many, too old), ``fault`` (the sink raised what it should
            not), ``crash`` (it ended the process), ``corrupt`` (the picture is damaged).
        retries: Attempts of this process that failed and were put back, by class: ``transient``,
            ``retry_after`` (the sink asked for a pause), ``fault``, ``unexpected`` (what the spool
            holds of the datapoint could not be dealt with).
        evictions: Datapoints that this process has removed, by policy: ``drop_oldest``,
            ``drop_lowest_value``, ``max_age``, ``dead_letter`` (too old or too many, or dropped).
        trouble: Why the last attempt failed; empty once one has succeeded.
    """

    accepted: int = 0
    recovered: int = 0
    delivered: int = 0
    duplicates: int = 0
    pending: int = 0
    dead: int = 0
    evicted: int = 0
    retried: int = 0
    given_up: Mapping[str, int] = field(default_factory=dict)
    retries: Mapping[str, int] = field(default_factory=dict)
    evictions: Mapping[str, int] = field(default_factory=dict)
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Where every offered frame went.

    Always ``offered = not_selected + limited + accepted + queued + sum(dropped.values())``.

    Attributes:
        offered: Frames handed to the engine.
        matched: Frames that at least one strategy took, whatever became of them later.
        not_selected: Frames that no strategy took.
        limited: Frames that a strategy took, but every taker's limit was spent.
        accepted: Frames that are on disk for delivery, or delivered already.
        queued: Frames in memory, not yet accepted.
        dropped: Frames lost, by reason: ``invalid_image``, ``invalid_prediction``, ``failed`` (a
            predictor or adapter raised something else), ``no_configuration`` (a provider has not
            brought a document yet), ``recently_sent`` (another collector has sent the picture to
            the same dataset within the last minutes), ``ring_full``, ``spool_full``,
            ``disk_full``, ``spool_error``, ``batch_full``, ``limiter_unavailable`` (the server that
            keeps the limits does not answer), ``seen_meanwhile`` (another run over the same source
            has dealt with the frame since this one began with it), ``shutdown``.
        skipped: Frames a source did not offer, since an earlier run had dealt with them.
        left_out: Keys and strategies of the fetched document in force that are not known here.
        strategies: By strategy, in configuration order.
        sinks: By sink, in configuration order.
    """

    offered: int = 0
    matched: int = 0
    not_selected: int = 0
    limited: int = 0
    accepted: int = 0
    queued: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    left_out: int = 0
    strategies: Mapping[str, StrategyCounts] = field(default_factory=dict)
    sinks: Mapping[str, SinkCounts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkHealth:
    """How one sink is at the moment.

    Attributes:
        state: ``delivering``; ``waiting`` as long as it asked for; ``open``: it failed too often
            and is left alone; ``half_open``: one datapoint is tried; ``paused``: key or
            configuration wait for a person.
        until: UTC epoch seconds when it is tried again; None while it delivers.
        reason: Why; empty while it delivers.
        pending: Datapoints that wait for it, whoever brought them.
        dead: Dead letters.
        lag_p50_s: Median of the seconds from acceptance to delivery of the last deliveries of this
            process; None before the first.
        lag_p99_s: Their 99th percentile.
    """

    state: Literal["delivering", "waiting", "open", "half_open", "paused"] = "delivering"
    until: float | None = None
    reason: str = ""
    pending: int = 0
    dead: int = 0
    lag_p50_s: float | None = None
    lag_p99_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolHealth:
    """How the spool is at the moment, whoever filled it.

    Attributes:
        items: Datapoints, dead letters included.
        bytes: Their pictures and metadata.
        oldest_s: Seconds since the oldest datapoint was accepted that still waits; None without.
        dead_items: Dead letters.
        dead_bytes: Their pictures and metadata.
        full_disk: Whether the disk has no room for more.
        fsync_p99_s: 99th percentile of the seconds that the last groups took to become durable;
            None before the first.
        unclean_restarts: Times that a process ended without closing it.
        set_aside: Damaged indexes and group files that are kept for a person to look at.
        limits_spent_until: UTC epoch seconds. The index was built anew, and what had been taken of
            the limits is not known: each window that was open then counts as spent, and this is
            when the last of them ends. None where nothing is spent like this.
    """

    items: int = 0
    bytes: int = 0
    oldest_s: float | None = None
    dead_items: int = 0
    dead_bytes: int = 0
    full_disk: bool = False
    fsync_p99_s: float | None = None
    unclean_restarts: int = 0
    set_aside: int = 0
    limits_spent_until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditUse:
    """One limit of one strategy.

    Attributes:
        strategy: Whose limit.
        period: ``minutely``, ``hourly`` or ``daily``.
        used: Credits taken in the window of now.
        limit: Credits that there are.
    """

    strategy: str
    period: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How everything is at the moment, for a person or a monitor.

    Attributes:
        queued_items: Frames in memory.
        queued_bytes: Bytes of their pictures.
        spool: The spool; None in a dry run.
        sinks: By sink, in configuration order.
        credits: The limits.
    """

    queued_items: int = 0
    queued_bytes: int = 0
    spool: SpoolHealth | None = None
    sinks: Mapping[str, SinkHealth] = field(default_factory=dict)
    credits: tuple[CreditUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """How a run ended.

    Attributes:
        run: Which run.
        finished_at: UTC epoch seconds.
        counts: Where every frame went.
        problems: What a person should know, a line each: bad frames by name, failed strategies,
            plugins left out.
        interrupted: Whether the run was stopped before its sources ended.
    """

    run: RunInfo
    finished_at: float
    counts: Counts
    problems: tuple[str, ...] = ()
    interrupted: bool = False
