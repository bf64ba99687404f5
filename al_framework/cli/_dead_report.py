"""What a person reads of dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from al_framework.api import Datapoint, Detections
from al_framework.cli._spools import Place
from al_framework.cli._wording import counted, moment, size, visible
from al_framework.pipeline.spool.dead import DeadLetter


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """What has become of dead letters that were to be tried again.

    Attributes:
        retried: Those that wait for their sink again.
        limited: Those that stay dead, since the limits of their strategy are spent.
        strangers: Sinks of others that stay dead, since they are not configured any more.
    """

    retried: int
    limited: int
    strangers: tuple[str, ...]


def show_letter(console: Console, letter: DeadLetter) -> None:
    """Print one dead letter."""
    tries = counted(letter.attempts, "attempt")
    console.print(
        Text.assemble(
            (visible(letter.item_id), "bold"), f"  sink {letter.sink!r}, {moment(letter.ended_at)}"
        )
    )
    frame = f"frame {letter.frame_id!r}, " if letter.frame_id else ""
    console.print(Text(f"  {frame}batch {letter.batch_name!r}"))
    console.print(Text(f"  {size(letter.bytes)}, given up after {tries}"))
    console.print(Text(f"  {visible(letter.reason)}", style="yellow"))


def show_totals(
    console: Console, letters: Sequence[DeadLetter], place: Place, *, shown: int
) -> None:
    """Print how many there are, for whom, and what can be done."""
    if not letters:
        console.print("no dead letters")
        return
    total = sum(letter.bytes for letter in letters)
    console.print(Text(f"{counted(len(letters), 'dead letter')}, {size(total)}", style="bold"))
    by_sink: dict[str, int] = {}
    for letter in letters:
        by_sink[letter.sink] = by_sink.get(letter.sink, 0) + 1
    for sink, number in by_sink.items():
        console.print(Text(f"  sink {sink!r}: {number:,}"))
    if shown < len(letters):
        console.print(Text(f"shown: the latest {shown:,}; --limit 0 shows all", style="dim"))
    console.print(Text(f"try again: al dead retry --all {place.option}", style="dim"))


def show_datapoint(console: Console, datapoint: Datapoint) -> None:
    """Print what else is known of a dead letter that can be read."""
    width, height = datapoint.image_size
    prediction = datapoint.prediction
    rows = [
        f"picture {width} x {height}, {size(len(datapoint.image))}",
        f"decided {moment(datapoint.decided_at)} by {datapoint.strategy!r}: {datapoint.reason}",
    ]
    if datapoint.tags:
        rows.append(f"tags {', '.join(datapoint.tags)}")
    if isinstance(prediction, Detections):
        model = "a model without a name" if datapoint.model_id is None else datapoint.model_id
        rows.append(f"{counted(len(prediction), 'detection')} of {model}")
    for row in rows:
        console.print(Text(f"  {visible(row)}"))


def show_put_back(console: Console, report: PutBack) -> None:
    """Print what is tried again, and what is not."""
    console.print(f"{counted(report.retried, 'dead letter')} put back to be delivered")
    if report.limited:
        left = "left as it is: the limit of its strategy is"
        if report.limited > 1:
            left = "left as they are: the limits of their strategies are"
        console.print(
            f"{counted(report.limited, 'dead letter')} {left} spent; try again in the next window"
        )
    for name in report.strangers:
        console.print(Text(f"sink {name!r} is not configured: its dead letters stay"))
