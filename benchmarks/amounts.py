"""Memory, modules, the seconds that an author waits: side by side where there are several sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rich.table import Table

from benchmarks.showing import apart

Unit: TypeAlias = Literal["MB", "modules", "s", "dB"]
_FINE: frozenset[Unit] = frozenset({"s", "dB"})  # shown with one decimal place


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much of something each side has or needs.

    Attributes:
        group: The rows that are shown together.
        case: What was counted.
        unit: What is counted; a MB has 10^6 bytes, s are seconds of wall time, dB a picture's PSNR.
        ours: Our side.
        peer: The peer's; None where it is not run.
        floor: What nobody can do without; None where there is nothing to name.
        at_most: What our side is to stay within; None where nothing is asked for.
        at_least: What our side is to reach; None where nothing is asked for.
        compared: Whether other sides do the same; without them there are no columns for them.
    """

    group: str
    case: str
    unit: Unit
    ours: float
    peer: float | None = None
    floor: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    compared: bool = True

    @property
    def met(self) -> bool | None:
        """Whether that was reached; None where nothing is asked for."""
        if self.at_most is None and self.at_least is None:
            return None
        over = self.at_most is not None and self.ours > self.at_most
        under = self.at_least is not None and self.ours < self.at_least
        return not (over or under)

    @property
    def asked(self) -> str:
        """What is asked for; empty where nothing is."""
        bounds = (("<=", self.at_most), (">=", self.at_least))
        return " and ".join(
            f"{sign} {shown(bound, self.unit)}" for sign, bound in bounds if bound is not None
        )


def amount_table(group: str, rows: Sequence[Amount]) -> Table:
    """Return one group as a table that fits 80 columns."""
    result = Table(title=group, title_justify="left", box=None, pad_edge=False)
    result.add_column("case")
    compared = any(row.compared for row in rows)
    for heading in (*(("ours", "peer", "floor") if compared else ("measured",)), "target"):
        result.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        others = (row.peer, row.floor) if compared else ()
        result.add_row(row.case, ours(row), *(shown(one, row.unit) for one in others), target(row))
    return result


def shown(value: float | None, unit: Unit, extra: int = 0) -> str:
    """Return an amount with its unit, and with so many digits more than usual."""
    if value is None:
        return "not run"
    return f"{value:,.{(unit in _FINE) + extra}f} {unit}"


def ours(row: Amount) -> str:
    """Return what our side has or needs, told from what is asked for."""
    limits = [limit for limit in (row.at_most, row.at_least) if limit is not None]
    return apart(row.ours, limits, lambda value, extra: shown(value, row.unit, extra))


def target(row: Amount) -> str:
    """Return what is asked for, and whether it was reached."""
    return f"{row.asked} {'met' if row.met else 'missed'}" if row.asked else ""
