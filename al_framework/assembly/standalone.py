"""Components without a collection, for applications that only need some: a model, a sink.

They are found, checked and started as in a configuration: ``${NAME}`` and ``file:`` are filled in,
all faults come at once with their lines, and a broken plugin is named.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from al_framework.api import Clock, Component, ConfigurationError, Fault
from al_framework.assembly.log_masking import LogMask
from al_framework.assembly.masking import Mask
from al_framework.assembly.starting import Starter
from al_framework.config.collection import load_collection
from al_framework.config.components import ComponentChecker
from al_framework.config.faults import FaultLog
from al_framework.config.models import ComponentEntry
from al_framework.config.reading import MAPPING_ORIGIN, Document, read_document
from al_framework.config.secrets import secret_values, substitute
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.clock import SystemClock


@contextmanager
def started_components(
    kind: str,
    entries: str | Path | Mapping[str, object],
    *,
    host: PluginHost | None = None,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[dict[str, Component[Any]]]:
    """Build and start named components, and close them at the end.

    Args:
        kind: Key of `al_framework.api.COMPONENT_KINDS`.
        entries: A YAML, JSON or TOML file, or the same as a mapping, that gives each name its
            entry: ``my-project/3: {type: onnx, model: nanodet.onnx}``.
        host: The plugins; by default whatever is installed.
        clock: Time; the system's by default.
        environ: The environment; the process's by default.

    Yields:
        The components by name.

    Raises:
        ConfigurationError: The entries have faults; all of them are listed.
        ComponentError: A component could not be started; those before it are closed again.
    """
    document = read_document(entries)
    checked = _checked(kind, document, host if host is not None else PluginHost.discover(), environ)
    mask = Mask([secret for entry in checked.values() for secret in secret_values(entry.options)])
    with ExitStack() as stack:
        logs = LogMask(mask)
        stack.callback(logs.close)  # the last thing to go: what closes may log
        starter = Starter(
            clock if clock is not None else SystemClock(),
            base_dir=document.base_dir,
            state_root=document.base_dir / ".al" / "state",
            mask=mask,
            logs=logs,
        )
        yield {name: starter.start(entry, stack) for name, entry in checked.items()}


def document_faults(
    document: object, *, origin: str = MAPPING_ORIGIN, host: PluginHost | None = None
) -> tuple[Fault, ...]:
    """Return what is wrong with an Active Learning document of the user's own.

    Args:
        document: The document, as JSON has it.
        origin: What messages call it.
        host: The plugins; by default whatever is installed.
    """
    host = host if host is not None else PluginHost.discover()
    try:
        load_collection(document, host, lenient=False, origin=origin)
    except ConfigurationError as exc:
        return exc.faults
    return ()


def _checked(
    kind: str, document: Document, host: PluginHost, environ: Mapping[str, str] | None
) -> dict[str, ComponentEntry]:
    log = FaultLog(document)
    checked = dict(_entries(kind, document, host, environ, log))
    if len(log):
        raise log.error()
    return checked


def _entries(
    kind: str,
    document: Document,
    host: PluginHost,
    environ: Mapping[str, str] | None,
    log: FaultLog,
) -> Iterator[tuple[str, ComponentEntry]]:
    # Apart from what raises: tracebacks with the variables of their frames would show secrets.
    data = substitute(document.data, os.environ if environ is None else environ, log)
    checker = ComponentChecker(host, base_dir=document.base_dir, log=log)
    for name, entry in document.data.items():
        found = checker.component(kind, data[name], entry, (name,))
        if found is not None:
            yield name, replace(found, name=name)
