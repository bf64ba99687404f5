"""How the sinks are, for a person or a monitor; asked by any process that shares the spool."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from al_framework.api import Clock, SinkHealth
from al_framework.pipeline.delivery.breaker import Breaker
from al_framework.pipeline.delivery.leading import UNSERVED
from al_framework.pipeline.spool import SinkRecord, SinkTable


def sink_health(  # noqa: PLR0913 - what it is told apart by, keyword-only
    table: SinkTable,
    breakers: Mapping[str, Breaker],
    *,
    leads: bool,
    unserved: Collection[str] = (),
    lags: Mapping[str, Collection[float]],
    clock: Clock,
) -> Mapping[str, SinkHealth]:
    """Return by sink how it is.

    Args:
        table: What the leader has written down, and what the spool holds.
        breakers: How sinks are in this process.
        leads: Whether this process is the leader, and knows best.
        unserved: Those that the process that leads does not know.
        lags: By sink, seconds from acceptance to delivery.
        clock: Time.

    Raises:
        SpoolError: The spool cannot be read.
    """
    now, wall = clock.monotonic(), clock.time()
    backlog = table.backlog(tuple(breakers))
    written = {} if leads else table.load(tuple(breakers))
    health = {}
    for sink, breaker in breakers.items():
        record = written.get(sink) or breaker.snapshot(now=now, wall=wall)
        ordered = sorted(list(lags[sink]))  # noqa: C414 - a copy first: others append meanwhile
        health[sink] = SinkHealth(
            state=_state(record, wall),
            until=None if record.state == "closed" else record.until,
            reason=record.reason or (UNSERVED if sink in unserved else ""),
            pending=backlog[sink].pending,
            dead=backlog[sink].dead,
            lag_p50_s=_percentile(ordered, 0.5),
            lag_p99_s=_percentile(ordered, 0.99),
        )
    return health


def _state(
    record: SinkRecord, wall: float
) -> Literal["delivering", "waiting", "open", "half_open", "paused"]:
    if record.state == "closed":
        return "delivering"
    return "half_open" if wall >= record.until else record.state


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None
