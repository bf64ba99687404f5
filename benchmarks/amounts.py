"""Memory, modules, the seconds that an author waits: side by side where there are several sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rich.table import Table

Unit: TypeAlias = Literal["MB", "modules", "s"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much of something each side has or needs.

    Attributes:
        group: The rows that are shown together.
        case: What was counted.
        unit: What is counted; a MB has 10^6 bytes, and s are seconds of wall time.
        ours: Our side.
        peer: The peer's; None where it is not run.
        floor: What nobody can do without; None where there is nothing to name.
        at_most: What our side is to reach; None where nothing is asked for.
        compared: Whether other sides do the same; without them there are no columns for them.
    """

    group: str
    case: str
    unit: Unit
    ours: float
    peer: float | None = None
    floor: float | None = None
    at_most: float | None = None
    compared: bool = True

    @property
    def met(self) -> bool | None:
        """Whether that was reached; None where nothing is asked for."""
        return None if self.at_most is None else self.ours <= self.at_most


def amount_table(group: str, rows: Sequence[Amount]) -> Table:
    """Return one group as a table that fits 80 columns."""
    result = Table(title=group, title_justify="left", box=None, pad_edge=False)
    result.add_column("case")
    compared = any(row.compared for row in rows)
    for heading in (*(("ours", "peer", "floor") if compared else ("measured",)), "target"):
        result.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        sides = (row.ours, row.peer, row.floor) if compared else (row.ours,)
        result.add_row(row.case, *(shown(value, row.unit) for value in sides), target(row))
    return result


def shown(value: float | None, unit: Unit) -> str:
    """Return an amount with its unit."""
    if value is None:
        return "not run"
    return f"{value:,.1f} {unit}" if unit == "s" else f"{value:,.0f} {unit}"


def target(row: Amount) -> str:
    """Return what is asked for, and whether it was reached."""
    if row.at_most is None:
        return ""
    return f"<= {shown(row.at_most, row.unit)} {'met' if row.met else 'missed'}"
