"""Rows for costs that no peer stands beside."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one call costs.

    Attributes:
        group: The rows that are compared with each other.
        case: What was called.
        median_us: Median over the rounds, process CPU microseconds a call, all threads.
        best_us: The fastest round.
        worst_us: The slowest round.
        calls: Calls measured.
        ratio: Median of the group's reference over this one: how many times cheaper it is.
    """

    group: str
    case: str
    median_us: float
    best_us: float
    worst_us: float
    calls: int
    ratio: float


def row_table(group: str, rows: Sequence[Row]) -> Table:
    """Return one group as a table that fits 80 columns."""
    result = Table(title=group, title_justify="left", box=None, pad_edge=False)
    result.add_column("case", no_wrap=True)
    for heading in ("CPU µs a call", "best - worst", "cheaper"):
        result.add_column(heading, justify="right")
    for row in rows:
        result.add_row(
            row.case,
            f"{row.median_us:,.1f}",
            f"{row.best_us:,.1f} - {row.worst_us:,.1f}",
            f"{row.ratio:,.0f} x",
        )
    return result
