"""`al explain`: say why a frame was or was not taken, and where it is now."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from al_framework.api.codec import decision_from_dict
from al_framework.cli._host import discover_host
from al_framework.config.loading import load_configuration, plugin_switches, read_document
from al_framework.config.models import Configuration
from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import FoundFrame, Spool

# The manifest that a directory sink keeps: one datapoint a line, as `datapoint_to_dict` writes it.
_MANIFEST = "manifest.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is known of one frame, from the spool or from a manifest."""

    frame_id: str
    outcome: str
    decided_at: float
    item_id: str | None
    detail: Mapping[str, Any]
    paid_by: str | None
    deliveries: tuple[Mapping[str, Any], ...]
    origin: str


@click.command()
@click.argument("frame")
@click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path),
    default=Path("al.yaml"),
    show_default=True,
    help="The configuration that the frame was offered to.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what is known as JSON.")
@click.pass_context
def explain(ctx: click.Context, frame: str, file: Path, as_json: bool) -> None:
    """Say why FRAME was or was not taken.

    FRAME is a frame's name, or the end of one: the picture's file name is usually enough.
    """
    document = read_document(file)
    host = discover_host(plugin_switches(document), ctx)
    configuration = load_configuration(document, host)
    found = list(_from_spool(configuration, frame)) or _exact(
        list(_from_manifests(configuration, frame)), frame
    )
    if not found:
        raise click.ClickException(
            f"frame {frame!r}: neither the spool '{configuration.spool_dir}' nor a manifest knows "
            "it: it was never offered, or offered by a program and not taken"
        )
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    console = Console()
    for one in found:
        _print(console, one, configuration)


def _from_spool(configuration: Configuration, frame: str) -> Iterator[Explanation]:
    if not (configuration.spool_dir / "spool.db").is_file():
        return
    with Spool(
        configuration.spool_dir,
        sinks=tuple(entry.name for entry in configuration.sinks),
        ledger=SqliteLedger({}, scope=configuration.name),
        clock=SystemClock(),
    ) as spool:
        for found in spool.find(frame):
            yield _explanation(found)


def _explanation(found: FoundFrame) -> Explanation:
    return Explanation(
        frame_id=found.frame_id,
        outcome=found.outcome,
        decided_at=found.decided_at,
        item_id=found.item_id,
        detail=found.detail,
        paid_by=found.detail.get("paid_by"),
        deliveries=tuple(asdict(delivery) for delivery in found.deliveries),
        origin="the spool",
    )


def _from_manifests(configuration: Configuration, frame: str) -> Iterator[Explanation]:
    for entry in configuration.sinks:
        path = getattr(entry.options, "path", None)
        if path is None:
            continue
        manifest = configuration.base_dir / Path(path).expanduser() / _MANIFEST
        if not manifest.is_file():
            continue
        with manifest.open(encoding="utf-8") as lines:
            for line in lines:
                values = _datapoint(line, frame)
                if values is not None:
                    yield Explanation(
                        frame_id=values["frame_id"],
                        outcome="accepted",
                        decided_at=values["decided_at"],
                        item_id=values["item_id"],
                        detail=values["decision"],
                        paid_by=values["strategy"],
                        deliveries=({"sink": entry.name, "state": "delivered"},),
                        origin=str(manifest),
                    )


def _exact(found: list[Explanation], frame: str) -> list[Explanation]:
    """Return the frames of that very name, or all if there is none, as the spool does."""
    return [one for one in found if one.frame_id == frame] or found


def _datapoint(line: str, frame: str) -> dict[str, Any] | None:
    # Most lines are not worth parsing. The sink writes ASCII only, so a name may stand escaped.
    if not frame or json.dumps(frame)[1:-1] not in line:
        return None
    try:
        values = json.loads(line)
        known = {"frame_id", "decided_at", "item_id", "decision", "strategy"} <= values.keys()
    except (ValueError, AttributeError):  # a line torn by a crash; the sink cuts it off itself
        return None
    return values if known and str(values["frame_id"]).endswith(frame) else None


def _print(console: Console, one: Explanation, configuration: Configuration) -> None:
    moment = datetime.fromtimestamp(one.decided_at, UTC).isoformat(" ", "seconds")
    console.print(Text.assemble((one.frame_id, "bold"), f"  {one.outcome}, decided {moment}"))
    if "error" in one.detail:
        console.print(Text(f"  {one.detail['error']}", style="yellow"))
    if "verdicts" in one.detail:
        console.print(_verdicts(one.detail, one.paid_by))
    if one.outcome == "limited":
        names = ", ".join(_limits(configuration, name) for name in one.detail["matching"])
        console.print(Text(f"  the limits of every strategy that takes it were spent: {names}"))
    for delivery in one.deliveries:
        words = [f"  sink {delivery['sink']!r}: {delivery['state']}"]
        words += [str(delivery[key]) for key in ("status", "url", "reason") if delivery.get(key)]
        console.print(Text(", ".join(words)))
    console.print(Text(f"  from {one.origin}", style="dim"))


def _limits(configuration: Configuration, name: str) -> str:
    """Return a strategy's name with the limits that it has now."""
    for strategy in configuration.strategies:
        if strategy.entry.name == name and strategy.limits:
            limits = ", ".join(f"{limit.value} {limit.type}" for limit in strategy.limits)
            return f"{name!r} ({limits})"
    return repr(name)


def _verdicts(detail: Mapping[str, Any], paid_by: str | None) -> Table:
    decision = decision_from_dict(detail)
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for heading in ("strategy", "wants it", "utility", "chance", "drawn", "takes it"):
        table.add_column(heading)
    table.add_column("reason", overflow="fold")
    for name, verdict, u in decision.verdicts:
        takes = name in decision.matching
        table.add_row(
            f"{name} (paid)" if name == paid_by else name,
            "yes" if verdict.match else "no",
            f"{verdict.utility:.3g}" if verdict.match else "",
            f"{verdict.probability:.3g}",
            "" if u is None else f"{u:.3f}",
            "yes" if takes else "no",
            verdict.reason,
        )
    return table
