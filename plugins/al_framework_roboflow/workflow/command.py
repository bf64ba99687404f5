"""The command `al workflow`: run a workflow document, or say what is wrong with it."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:  # the command's help costs nothing
    from pydantic import SecretStr

    from al_framework_roboflow.workflow.documents import Workflow
    from al_framework_roboflow.workflow.execution import PredictorLike

EXIT_FAILED = 1
EXIT_FAULTS = 2

CONFIGURATION_WAIT_S = 30.0
# With a sink of one's own nobody asks for a key, but collectors are told apart by theirs.
_NO_ACCOUNT = "no-account"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def workflow() -> None:
    """Run workflow documents of Roboflow around their data collectors."""


@workflow.command()
@click.argument("document", type=click.Path(path_type=Path))
def check(document: Path) -> None:
    """Check the workflow DOCUMENT (JSON), and show what it would do.

    Exit status: 0 it can be run, 2 it has faults; all of them are listed.
    """
    from rich.console import Console
    from rich.text import Text

    from al_framework_roboflow.workflow.documents import read_workflow
    from al_framework_roboflow.workflow.rendering import overview

    found = read_workflow(document)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(Text.assemble(found.origin, ": ", ("ok", "bold green")))
    for title, value in overview(found):
        console.print(Text.assemble((f"{title:<7} ", "dim"), value))


@workflow.command()
@click.argument("document", type=click.Path(path_type=Path))
@click.argument("more", nargs=-1)
@click.option(
    "--image",
    "images",
    multiple=True,
    help="A picture; name=FILE where the workflow has several image inputs. Repeat it, or write "
    "more files behind it.",
)
@click.option(
    "--inputs",
    "values",
    multiple=True,
    help="name=value of another input; the value is read as JSON where it is JSON, else as text.",
)
@click.option(
    "--models",
    type=click.Path(path_type=Path),
    help="YAML file that maps model ids to predictors: {my-project/3: {type: onnx, model: …}}; "
    "'*' stands for all others.",
)
@click.option("--inference-url", help="Inference server that runs the models.")
@click.option(
    "--api-key-env",
    default="ROBOFLOW_API_KEY",
    show_default=True,
    help="Environment variable that holds the API key.",
)
@click.option(
    "--api-url", default="https://api.roboflow.com", show_default=True, help="Roboflow's API."
)
@click.option(
    "--sink-directory",
    type=click.Path(path_type=Path),
    help="Collect into this directory instead of Roboflow, each dataset into one of its own where "
    "there are several; needs no account.",
)
@click.option(
    "--spool", type=click.Path(path_type=Path), help="Directory of what waits for delivery."
)
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0.0),
    default=30.0,
    show_default=True,
    help="Give up when no delivery has ended for so many seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print outputs and results as JSON.")
def run(  # noqa: PLR0913 - one parameter for each option, passed by click by name
    *,
    document: Path,
    more: tuple[str, ...],
    images: tuple[str, ...],
    values: tuple[str, ...],
    models: Path | None,
    inference_url: str | None,
    api_key_env: str,
    api_url: str,
    sink_directory: Path | None,
    spool: Path | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Run the workflow DOCUMENT (JSON) over pictures, and say what its collectors did.

    \b
    al workflow run doc.json --image a.jpg b.jpg --inputs key=abc \\
        --inference-url http://127.0.0.1:9001

    Exit status: 0 all done, 1 something failed or is still to be delivered, 2 the document or what
    it was started with has faults.
    """  # noqa: D301 - click has to see the character that keeps a paragraph from being filled
    from pydantic import SecretStr
    from rich.console import Console

    from al_framework_roboflow.connection import is_readable_on_the_way
    from al_framework_roboflow.pool import CollectorPool
    from al_framework_roboflow.workflow.deliveries import delivery_lines, wait_for_deliveries
    from al_framework_roboflow.workflow.documents import read_workflow
    from al_framework_roboflow.workflow.rendering import print_result, result_json
    from al_framework_roboflow.workflow.running import run_workflow

    if is_readable_on_the_way(api_url):
        raise click.BadParameter(
            "begins with http://, so the key can be read on the way: use https://",
            param_hint="--api-url",
        )
    found = read_workflow(document)
    files, inputs = _given(found, images, values, more)
    key = os.environ.get(api_key_env)
    if not key:
        key = None if sink_directory is None or _fetches(found) else _NO_ACCOUNT
    secret = None if key is None else SecretStr(key)
    with ExitStack() as stack:
        status = stack.enter_context(Console(stderr=True).status("the steps are running"))
        pool = CollectorPool(api_url=api_url, spool_root=spool, sinks=_sinks(sink_directory, found))
        stack.callback(pool.close)
        result = run_workflow(
            found,
            images=files,
            inputs=inputs,
            predictors=_predictors(models, inference_url, secret, stack),
            pool=pool,
            api_key=secret,
            wait_configuration_s=CONFIGURATION_WAIT_S,
        )
        counts = wait_for_deliveries(pool.stats, wait_s, tell=status.update)
    lines, undelivered = delivery_lines(counts)
    if as_json:
        click.echo(json.dumps(result_json(result, counts), indent=2))
        for line in lines if undelivered else ():
            click.echo(line, err=True)
    else:
        print_result(Console(highlight=False), result, lines)
    if result.problems or undelivered:
        sys.exit(EXIT_FAILED)


def _given(
    found: "Workflow", images: Sequence[str], values: Sequence[str], more: Sequence[str]
) -> tuple[dict[str, list[str]], dict[str, object]]:
    """Return the pictures by input, and the other inputs."""
    files: dict[str, list[str]] = {name: [] for name in found.images}
    inputs: dict[str, object] = {}
    for text in values:
        name, separator, value = text.partition("=")
        if not separator:
            raise click.UsageError(f"--inputs {text!r}: write name=value")
        inputs[name] = _value(value)
    for place, text in enumerate((*images, *more)):
        name, separator, value = text.partition("=")
        if separator and name in files:
            files[name].append(value)
        elif separator and place >= len(images) and (name in found.inputs or _no_file(text)):
            inputs[name] = _value(value)  # --inputs a=1 b=2
        elif len(files) == 1:
            files[found.images[0]].append(text)
        else:
            names = ", ".join(repr(name) for name in files) or "none"
            raise click.UsageError(
                f"the picture {text!r}: write name=FILE, the workflow's image inputs are {names}"
            )
    missing = [name for name, paths in files.items() if not paths]
    if missing:
        raise click.UsageError(f"the image input {missing[0]!r} needs a picture: add --image FILE")
    return files, inputs


def _no_file(text: str) -> bool:
    """Tell whether a word is rather an input, its name mistyped, than a picture."""
    return text.partition("=")[0].isidentifier() and not Path(text).exists()


def _value(text: str) -> object:
    from al_framework_roboflow.workflow.documents import refused_constant

    try:
        return json.loads(text, parse_constant=refused_constant)
    except (ValueError, RecursionError):
        return text


def _sinks(directory: Path | None, found: "Workflow") -> list[Mapping[str, object]] | None:
    """Return the directory as a sink; where there are several datasets, one within it for each."""
    if directory is None:
        return None
    datasets = {getattr(step, "target_dataset", None) for step in found.steps} - {None}
    path = directory.absolute() / "{collector}" if len(datasets) > 1 else directory.absolute()
    return [{"type": "directory", "path": str(path)}]


def _fetches(found: "Workflow") -> bool:
    """Tell whether a collector needs an account, since its configuration has to be fetched."""
    return any(
        getattr(step, "active_learning_configuration", "of no collector") is None
        for step in found.steps
    )


def _predictors(
    models: Path | None, inference_url: str | None, api_key: "SecretStr | None", stack: ExitStack
) -> "dict[str, PredictorLike]":
    from al_framework import started_components
    from al_framework.api import ConfigurationError
    from al_framework_roboflow.workflow.execution import ANY_MODEL

    predictors: dict[str, Any] = {}
    if inference_url is not None:
        # Documents state thresholds, the server its own, and the step the model.
        server = {"type": "roboflow_inference", "url": inference_url, "confidence": None}
        entry: dict[str, object] = {**server, "model_id": ANY_MODEL}
        if api_key is not None and api_key.get_secret_value() != _NO_ACCOUNT:
            entry["api_key"] = api_key.get_secret_value()
        try:
            started = started_components("predictor", {ANY_MODEL: entry})
            predictors |= stack.enter_context(started)
        except ConfigurationError as exc:
            raise click.UsageError(f"--inference-url: {exc.faults[0].message}") from exc
    if models is not None:
        predictors |= stack.enter_context(started_components("predictor", models))
    return predictors
