"""`python -m al_framework_roboflow.server`."""

import re
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

import click
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from al_framework_roboflow.server.running import running_server
from al_framework_roboflow.server.state import MIB, Project, State, Workspace

_PROJECT = re.compile(r"(?:(?P<workspace>[^/:]+)/)?(?P<name>[^/:]+)(?::(?P<type>[^/:]+))?")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0: any free port."
)
@click.option(
    "--workspace",
    "workspaces",
    multiple=True,
    default=["ws"],
    show_default=True,
    help="A workspace; may be repeated. The first is everybody's unless keys are given.",
)
@click.option(
    "--project",
    "projects",
    multiple=True,
    default=["ds:object-detection"],
    show_default=True,
    metavar="[WORKSPACE/]NAME[:TYPE]",
    help="A project, of the first workspace unless it names another; may be repeated.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Active Learning document, YAML or JSON, of every project.",
)
@click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory to write pictures and annotations to as well.",
)
@click.option(
    "--api-key",
    "api_keys",
    multiple=True,
    metavar="KEY[:WORKSPACE]",
    help="Accept this key only; may be repeated. Without, any key is accepted.",
)
@click.option("--forget-pictures", is_flag=True, help="Keep no picture's bytes in memory.")
@click.option(
    "--max-body-mib",
    type=click.IntRange(1, 4096),
    default=64,
    show_default=True,
    help="Answer a larger request with 413.",
)
def serve(  # noqa: PLR0913, PLR0917 - one parameter for each option, passed by click by name
    host: str,
    port: int,
    workspaces: Sequence[str],
    projects: Sequence[str],
    config: Path | None,
    store: Path | None,
    api_keys: Sequence[str],
    forget_pictures: bool,
    max_body_mib: int,
) -> None:
    """Serve Roboflow's API from memory, for tests and for trying things out.

    Prints one line, the address, and ends on Ctrl-C. Nothing survives it but what --store wrote.
    """
    configuration = None if config is None else _read_configuration(config)
    try:
        state = State(
            workspaces=_workspaces(workspaces, projects, configuration),
            api_keys=_keys(api_keys, workspaces[0]),
            store=store,
            keep_pictures=not forget_pictures,
            max_body_bytes=max_body_mib * MIB,
        )
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    try:
        with running_server(state, host=host, port=port) as server:
            click.echo(server.url)
            stop.wait()
    except OSError as exc:
        raise click.ClickException(f"cannot listen on {host!r}, port {port}: {exc}") from exc


def _workspaces(
    names: Sequence[str], projects: Sequence[str], configuration: Mapping[str, object] | None
) -> list[Workspace]:
    by_workspace: dict[str, list[Project]] = {name: [] for name in names}
    for text in projects:
        match = _PROJECT.fullmatch(text)
        if match is None:
            raise ValueError(f"--project {text!r}: write it as [WORKSPACE/]NAME[:TYPE]")
        workspace = match["workspace"] or names[0]
        if workspace not in by_workspace:
            raise ValueError(
                f"--project {text!r}: add --workspace {workspace}, or use one of "
                f"{', '.join(by_workspace)}"
            )
        project_type = match["type"] or "object-detection"
        project = Project(match["name"], project_type, configuration=configuration)
        by_workspace[workspace].append(project)
    return [Workspace(name, found) for name, found in by_workspace.items()]


def _keys(keys: Sequence[str], first: str) -> dict[str, str]:
    split = [key.partition(":") for key in keys]
    if not all(key for key, _, _ in split):
        raise ValueError("--api-key: the key is empty")
    return {key: workspace or first for key, _, workspace in split}


def _read_configuration(path: Path) -> Mapping[str, object]:
    try:
        document: object = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise click.UsageError(f"--config {str(path)!r} is nested too deeply") from None
    except (OSError, ValueError, YAMLError) as exc:
        raise click.UsageError(f"--config {str(path)!r} cannot be read: {exc}") from exc
    if not isinstance(document, dict):
        raise click.UsageError(f"--config {str(path)!r}: an Active Learning document is a mapping")
    return document
