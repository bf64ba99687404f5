"""Name the labelling batch that a datapoint belongs to."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal, TypeAlias

RecreationInterval: TypeAlias = Literal["never", "daily", "weekly", "monthly"]


def batch_name(
    prefix: str, interval: RecreationInterval, decided_at: float, zone: tzinfo | None
) -> str:
    """Return the name of the batch that is open at a moment.

    Args:
        prefix: What every name starts with.
        interval: How often a new batch is started.
        decided_at: UTC epoch seconds when the frame was offered, so that a datapoint which waits
            in a queue over midnight still belongs to its own day.
        zone: Whose calendar counts; None for the process's local zone, as Roboflow.

    Source: Roboflow inference, active_learning/batching.py, 2026-08; there the moment is that of
    the upload.
    """
    moment = datetime.fromtimestamp(decided_at, UTC)
    return dated_name(prefix, interval, moment.astimezone(zone).date())


def dated_name(prefix: str, interval: RecreationInterval, today: date) -> str:
    """Return the name of the batch that is open on a calendar day.

    Raises:
        ValueError: The interval is none of the four.
    """
    if interval == "never":
        return prefix
    if interval == "daily":
        start = today
    elif interval == "weekly":
        start = today - timedelta(days=today.weekday())
    elif interval == "monthly":
        start = today.replace(day=1)
    else:
        raise ValueError(
            f"batches cannot be recreated {interval!r}: use 'never', 'daily', 'weekly' or 'monthly'"
        )
    # Not strftime: its %Y drops the leading zeros of early years on Linux.
    return f"{prefix}_{start.year:04d}_{start.month:02d}_{start.day:02d}"
