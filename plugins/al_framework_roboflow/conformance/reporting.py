"""Show what a run of vectors came to, as a table or as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from al_framework_roboflow.conformance.reading import Failure
from al_framework_roboflow.conformance.running import Outcome
from al_framework_roboflow.conformance.verdicts import Tally

_MAX_SHOWN = 400


def as_document(outcome: Outcome) -> Mapping[str, Any]:
    """Return everything, for programs."""
    return {
        "files": {
            name: {
                "cases": counts.cases,
                "equal": counts.equal,
                "deviating": dict(sorted(counts.deviating.items())),
                "refused": dict(counts.refused.most_common()),
                "failed": len(counts.failures),
                "failures": [asdict(failure) for failure in counts.failures],
            }
            for name, counts in outcome.files.items()
        },
        "absent": list(outcome.absent),
        "unknown": list(outcome.unknown),
        "failed": outcome.failed,
    }


def show(outcome: Outcome, console: Console, *, failures: int) -> None:
    """Print a table, and the first failures of each file.

    Args:
        outcome: What to show.
        console: Where.
        failures: How many of each file.
    """
    console.print(_table(outcome))
    if outcome.absent:
        console.print(Text(f"absent: {', '.join(outcome.absent)}", style="yellow"))
    if outcome.unknown:
        console.print(
            Text(f"not run, of no known kind: {', '.join(outcome.unknown)}", style="yellow")
        )
    for name, counts in outcome.files.items():
        if counts.refused:
            places = ", ".join(f"{place} {count}" for place, count in counts.refused.most_common())
            console.print(Text(f"refused in {name} at: {_cut(places)}"), soft_wrap=True)
    for name, counts in outcome.files.items():
        for failure in counts.failures[:failures]:
            console.print(_explained(name, failure), soft_wrap=True)
        left = len(counts.failures) - failures
        if failures and left > 0:
            console.print(Text(f"{name}: and {left} more"))
    if outcome.failed:
        console.print(Text(f"{outcome.failed} failed", style="bold red"))
    else:
        console.print(Text("no case failed", style="bold green"))


def _table(outcome: Outcome) -> Table:
    table = Table(box=None, pad_edge=False, show_footer=True)
    sums = Tally()
    for counts in outcome.files.values():
        sums.equal += counts.equal
        sums.deviating += counts.deviating
        sums.failures += counts.failures
    deviating = sums.deviating.total()
    table.add_column("file", footer="all")
    for heading, footer in (("cases", sums.cases), ("equal", sums.equal)):
        table.add_column(heading, footer=str(footer), justify="right")
    table.add_column("deviating", footer=str(deviating), justify="right")
    table.add_column("by", overflow="fold")
    table.add_column("failed", footer=str(len(sums.failures)), justify="right")
    for name, counts in outcome.files.items():
        table.add_row(
            name,
            str(counts.cases),
            str(counts.equal),
            str(counts.deviating.total()),
            "\n".join(f"{by} {count}" for by, count in counts.deviating.most_common()),
            Text(str(len(counts.failures)), style="bold red" if counts.failures else ""),
        )
    return table


def _explained(name: str, failure: Failure) -> Text:
    text = Text(f"{name} {failure.id} (line {failure.line})", style="red")
    text.append(f"\n  expected {_shortened(failure.expected)}", style="default")
    text.append(f"\n  seen     {_shortened(failure.seen)}", style="default")
    if failure.deviation is not None:
        text.append(f"\n  the deviation {failure.deviation!r} does not explain it")
    return text


def _shortened(value: object) -> str:
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
