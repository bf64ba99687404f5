"""What is not a time: bytes of memory and disk, requests, side by side as the times are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rich.table import Table

Unit: TypeAlias = Literal["MB", "modules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much of something each side has or needs.

    Attributes:
        group: The rows that are shown together.
        case: What was counted.
        unit: What is counted; a MB has 10^6 bytes.
        ours: Our side.
        peer: The peer's; None where it is not run.
        floor: What nobody can do without; None where there is nothing to name.
        at_most: What our side is to reach; None where nothing is asked for.
    """

    group: str
    case: str
    unit: Unit
    ours: float
    peer: float | None = None
    floor: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether that was reached; None where nothing is asked for."""
        return None if self.at_most is None else self.ours <= self.at_most


def amount_table(group: str, rows: Sequence[Amount]) -> Table:
    """Return one group as a table that fits 80 columns."""
    result = Table(title=group, title_justify="left", box=None, pad_edge=False)
    result.add_column("case")
    for heading in ("ours", "peer", "floor", "target"):
        result.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        values = [shown(value, row.unit) for value in (row.ours, row.peer, row.floor)]
        result.add_row(row.case, *values, target(row))
    return result


def shown(value: float | None, unit: Unit) -> str:
    """Return an amount with its unit."""
    return "not run" if value is None else f"{value:,.0f} {unit}"


def target(row: Amount) -> str:
    """Return what is asked for, and whether it was reached."""
    if row.at_most is None:
        return ""
    return f"<= {shown(row.at_most, row.unit)} {'met' if row.met else 'missed'}"
