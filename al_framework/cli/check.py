"""`al check`: say whether a configuration can be used, and what it would do."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import click
from rich.console import Console
from rich.text import Text

from al_framework.api import ConfigurationError, Fault, MissingExtraError, require
from al_framework.cli._host import discover_host, strict_plugins
from al_framework.config.loading import load_configuration, plugin_switches, read_document
from al_framework.config.models import ComponentEntry, Configuration, StrategyEntry
from al_framework.config.roboflow_document import BatchingStrategyModel

EXIT_PLUGINS = 1
EXIT_FAULTS = 2
_PATHS = MappingProxyType({"directory-path": "directory", "file-path": "file"})


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default="al.yaml")
@click.pass_context
def check(ctx: click.Context, file: Path) -> None:
    """Check FILE (al.yaml) against the installed plugins, and show what it would do.

    Nothing is started: no picture, model or network is touched. Warnings, such as of a directory
    that is still missing, change no status.

    Exit status: 0 it can be used, 1 a plugin is broken and --strict-plugins was given, 2 it has
    faults; all of them are listed.
    """
    try:
        document = read_document(file)
        host = discover_host(plugin_switches(document), ctx, show_problems=True)
        with _cautions_shown():
            configuration = load_configuration(document, host)
        _check_extras(configuration)
    except ConfigurationError as exc:
        _print_faults(exc)
        ctx.exit(EXIT_FAULTS)
    strict = strict_plugins(ctx)
    for problem in host.problems:
        click.echo(f"{'Error' if strict else 'Warning'}: {problem}", err=True)
    if strict and host.problems:
        ctx.exit(EXIT_PLUGINS)
    for text in _missing_paths(configuration):
        click.echo(f"Warning: {text}", err=True)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(Text.assemble(configuration.origin, ": ", ("ok", "bold green")))
    for title, value in _overview(configuration):
        console.print(Text.assemble((f"{title:<11} ", "dim"), value))


class _Cautions(logging.Handler):
    """Prints what is logged as `al check` prints the warnings of the host."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        click.echo(f"Warning: {record.getMessage()}", err=True)


@contextmanager
def _cautions_shown() -> Iterator[None]:
    """Show what is otherwise logged about a configuration: here somebody asks for it."""
    logger, cautions = logging.getLogger("al_framework.config"), _Cautions(logging.WARNING)
    before = logger.propagate, logger.level
    logger.propagate = False  # each is said once, with -v as well
    logger.setLevel(logging.WARNING)  # without -v the root's level would drop them unseen
    logger.addHandler(cautions)
    try:
        yield
    finally:
        logger.removeHandler(cautions)
        logger.propagate = before[0]
        logger.setLevel(before[1])


def _check_extras(configuration: Configuration) -> None:
    """Raise if the limits are kept in a way for which a package is missing."""
    if configuration.limits.ledger == "redis":
        try:
            require("redis", extra="redis")
        except MissingExtraError as exc:
            fault = Fault(path="limits.ledger", message=str(exc))
            raise ConfigurationError([fault], origin=configuration.origin) from None


def _missing_paths(configuration: Configuration) -> Iterator[str]:
    """Yield a sentence for each option whose file or directory a run would look for in vain.

    An option says what it names by its JSON schema: ``format`` is ``file-path`` or
    ``directory-path``, as pydantic's own types of these names have it.
    """
    predictor = () if configuration.predictor is None else (configuration.predictor,)
    for entry in (*configuration.sources, *predictor):
        for option, field in type(entry.options).model_fields.items():
            extra, value = field.json_schema_extra, getattr(entry.options, option)
            what = _PATHS.get(str(extra.get("format"))) if isinstance(extra, dict) else None
            if what is not None and _is_missing(configuration.base_dir, value):
                # Not which: what came from the environment may be a secret.
                yield (
                    f"{entry.kind} {entry.name!r}: the {what} that {option} names does not exist:"
                    f" create it or correct {option} before al run"
                )


def _is_missing(base_dir: Path, path: object) -> bool:
    if not isinstance(path, str | Path):
        return False
    try:
        return not (base_dir / Path(path).expanduser()).exists()
    except (OSError, RuntimeError):  # not to be known from here: a run says what is wrong
        return False


def _print_faults(error: ConfigurationError) -> None:
    """List the faults as plain lines that stay whole when they are copied or searched."""
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    count = "1 fault" if len(error.faults) == 1 else f"{len(error.faults)} faults"
    console.print(Text.assemble(error.origin, ": ", (count, "bold red"), " in the configuration"))
    for fault in error.faults:
        line = f"line {fault.line}: " if fault.line is not None else ""
        place = f"{fault.path}: " if fault.path else ""
        console.print(Text.assemble("  ", (line, "dim"), (place, "bold"), fault.message))


def _overview(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """Yield what the configuration would do, a title and a line each; lines are never broken."""
    yield "name", configuration.name
    yield from _titled("sources", configuration.sources)
    if configuration.predictor is not None:
        yield "predictor", _component(configuration.predictor)
    if configuration.adapter is not None:
        yield "adapter", _component(configuration.adapter)
    document = configuration.active_learning
    if configuration.provider is not None:
        yield "document", f"of a server, by {_component(configuration.provider)}"
        yield "", "it is fetched when this runs, and was not looked at now"
    elif document is None or not document.enabled:
        yield "strategies", "none: active_learning is not enabled, nothing is collected"
    else:
        for number, entry in enumerate(configuration.strategies, start=1):
            yield "strategies" if number == 1 else "", f"{number}. {_strategy(entry)}"
        yield "batches", _batches(document.batching_strategy, configuration.batch_time_zone)
    yield from _titled("sinks", configuration.sinks)
    yield "spool", str(configuration.spool.path)
    yield "hash", configuration.configuration_hash


def _titled(title: str, entries: Sequence[ComponentEntry]) -> Iterator[tuple[str, str]]:
    if not entries:
        yield title, "none"
    for index, entry in enumerate(entries):
        yield "" if index else title, _component(entry)


def _component(entry: ComponentEntry) -> str:
    name = "" if entry.name == entry.type_name else f"{entry.name}: "
    pace = "" if entry.pace is None else f", {entry.pace.per_s:g} a second at the most"
    return f"{name}{entry.type_name} (plugin {entry.plugin}){pace}"


def _strategy(strategy: StrategyEntry) -> str:
    limits = ", ".join(f"{limit.value} {limit.type}" for limit in strategy.limits)
    tags = f", tags {' '.join(strategy.tags)}" if strategy.tags else ""
    return f"{_component(strategy.entry)}, limits {limits or 'none'}{tags}"


def _batches(batching: BatchingStrategyModel, zone: str | None) -> str:
    most = batching.max_batch_images
    at_most = "" if most is None else f", at most {most} pictures each"
    dates = "" if zone is None or batching.recreation_interval == "never" else f", dates of {zone}"
    return f"{batching.batches_name_prefix!r}, new {batching.recreation_interval}{dates}{at_most}"
