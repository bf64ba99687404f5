"""Show what a workflow did: a table for people, JSON for programs."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from al_framework.api import Counts
from al_framework_roboflow.workflow.declarations import ParameterInput
from al_framework_roboflow.workflow.documents import Workflow
from al_framework_roboflow.workflow.running import Collected, WorkflowResult
from al_framework_roboflow.workflow.steps.collector import ActiveLearningDataCollector

_STYLES = {"limited": "yellow", "dropped": "yellow"}
# What the step said while it ran; by now the lines of the deliveries know better.
_CHOSEN = ("queued", "accepted")


def print_result(console: Console, result: WorkflowResult, deliveries: Sequence[str]) -> None:
    """Print what each collector did with each picture, and what went wrong."""
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    for heading in ("picture", "collector", "status", "why"):
        table.add_column(heading, overflow="fold")
    told = set()
    for name, results in result.collected.items():
        for one in results:
            status, why = _words(one)
            table.add_row(Text(one.picture), Text(name), status, Text(why))
            told.add(one.message)
    if table.row_count:
        console.print(table)
    elif result.collected:
        console.print("there was nothing to collect")
    else:
        console.print("no collector was reached")
    for line in deliveries:
        console.print(Text(line, style="dim"), soft_wrap=True)
    left = [problem for problem in result.problems if problem not in told]
    if left:
        console.print()
        console.print(Text("failed", style="bold red"))
        for line in left:
            console.print(Text(f"  - {line}"), soft_wrap=True)


def _words(one: Collected) -> tuple[Text, str]:
    if one.status in _CHOSEN:
        return Text("chosen", style="green"), ""
    style = "bold red" if one.error_status else _STYLES.get(one.status, "dim")
    return Text(one.status.replace("_", " "), style=style), one.message


def overview(workflow: Workflow) -> Iterator[tuple[str, str]]:
    """Yield what a workflow would do, line by line."""
    for name, one in workflow.inputs.items():
        optional = isinstance(one, ParameterInput) and one.optional
        yield "input", f"{name}: {one.type}{' (optional)' if optional else ''}"
    for step in workflow.steps:
        target = ""
        if isinstance(step, ActiveLearningDataCollector):
            fetched = step.active_learning_configuration is None
            rules = "the project's own configuration" if fetched else "its own configuration"
            target = f" into {step.target_dataset}, by {rules}"
        yield "step", f"{step.name}: {step.type}{target}"
    for output in workflow.outputs:
        yield "output", f"{output.name}: {output.selector}"


def result_json(result: WorkflowResult, counts: Mapping[str, Counts]) -> dict[str, Any]:
    """Return everything a program may want to know, as JSON values."""
    values = {
        "outputs": dict(result.outputs),
        "collected": {
            name: [{key: getattr(one, key) for key in one.__slots__} for one in results]
            for name, results in result.collected.items()
        },
        "problems": list(result.problems),
        "delivery": {
            collector: {
                sink: {"delivered": one.delivered, "pending": one.pending, "dead": one.dead}
                for sink, one in found.sinks.items()
            }
            for collector, found in counts.items()
        },
    }
    cleaned: dict[str, Any] = _json_values(values)
    return cleaned


def _json_values(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get("type") == "numpy_object" and isinstance(value.get("value"), np.ndarray):
            # As the Inference server writes pictures among its outputs.
            value = {**value, "type": "base64", "value": _encoded(value["value"])}
        return {str(key): _json_values(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json_values(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return _json_values(value.tolist())
    return value


def _encoded(pixels: Any) -> str:
    import PIL.Image

    buffer = io.BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1])).save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
