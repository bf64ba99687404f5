"""Predictors for the command: an Inference server, or those that a file names."""

import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from al_framework.api import AlFrameworkError, Context, Fault, Predictor
from al_framework_roboflow.predictor import RoboflowInference, RoboflowInferenceOptions
from al_framework_roboflow.workflow.errors import WorkflowFaultsError
from al_framework_roboflow.workflow.execution import ANY_MODEL
from al_framework_roboflow.workflow.faults import faults_of, shown, suggestion

_PLUGINS = "al_framework"
_DISABLE_VARIABLE = "AL_DISABLE_PLUGINS"
_MAX_BYTES = 1024 * 1024


class SystemClock:
    """The machine's clocks."""

    def time(self) -> float:
        """Return UTC epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()


def server_predictor(url: str, api_key: SecretStr | None, stack: ExitStack) -> Predictor[Any]:
    """Return a predictor that asks an Inference server for whatever model a step names.

    Args:
        url: Address of the server.
        api_key: Key with which it loads the models.
        stack: Takes what has to be closed.

    Raises:
        WorkflowFaultsError: The address is none.
    """
    values = {"url": url, "model_id": ANY_MODEL, "api_key": api_key, "confidence": None}
    try:
        options = RoboflowInferenceOptions.model_validate(values)
    except ValidationError as exc:
        faults = list(faults_of(exc, "inference-url", RoboflowInferenceOptions))
        raise WorkflowFaultsError(faults, origin="the command line") from None
    return _started(RoboflowInference(options, _context("inference", Path())), stack)


def file_predictors(
    path: Path, stack: ExitStack, *, announced: Iterable[EntryPoint] | None = None
) -> dict[str, Predictor[Any]]:
    """Return the predictors that a YAML file maps model ids to, started.

    Args:
        path: The file: ``my-project/3: {type: onnx, model: nanodet.onnx}``; relative paths start
            at it.
        stack: Takes what has to be closed.
        announced: Where to look for plugins; None for everything that is installed.

    Raises:
        WorkflowFaultsError: The file has faults; all of them are listed.
        AlFrameworkError: A predictor could not start.
    """
    origin = str(path)
    found, broken = _predictor_classes(announced)
    predictors: dict[str, Predictor[Any]] = {}
    faults: list[Fault] = []
    for model_id, entry in _entries(path).items():
        place = f"[{str(model_id)!r}]"
        if not isinstance(entry, Mapping) or not isinstance(entry.get("type"), str):
            message = f"is {shown(entry)}: write {{type: <predictor>, …}} with its options"
            faults.append(Fault(path=place, message=message))
            continue
        options = dict(entry)
        component = found.get(options.pop("type"))
        if component is None:
            hint = suggestion(entry["type"], found, what="predictors")
            message = "; ".join([f"no plugin provides {entry['type']!r}: {hint}", *broken])
            faults.append(Fault(path=f"{place}.type", message=message))
            continue
        try:
            checked = component.Options.model_validate(options)
        except ValidationError as exc:
            faults += faults_of(exc, place, component.Options)
            continue
        context = _context(str(model_id), path.absolute().parent)
        predictors[str(model_id)] = component(checked, context)
    if faults:
        raise WorkflowFaultsError(faults, origin=origin)
    for predictor in predictors.values():
        _started(predictor, stack)
    return predictors


def _entries(path: Path) -> Mapping[object, object]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            problem = f"is larger than {_MAX_BYTES} bytes"
        else:
            read = YAML(typ="safe", pure=True).load(data)
            if isinstance(read, Mapping):
                return read
            problem = f"holds {shown(read)}: map model ids to predictors"
    except OSError as exc:
        problem = f"cannot be read: {exc.strerror}"
    except (YAMLError, UnicodeDecodeError, RecursionError) as exc:
        problem = f"is no YAML: {' '.join(str(exc).split())}"
    raise WorkflowFaultsError([Fault(path="", message=problem)], origin=str(path))


def _predictor_classes(
    announced: Iterable[EntryPoint] | None,
) -> tuple[dict[str, type[Predictor[Any]]], list[str]]:
    """Return the installed predictors by their types, and what is wrong with broken plugins."""
    classes: dict[str, type[Predictor[Any]]] = {}
    broken: list[str] = []
    for entry_point in _switched_on(announced):
        try:
            register: Any = getattr(entry_point.load(), "al_register_predictors", None)
            registered = [] if register is None else list(register())
        except Exception as exc:  # noqa: BLE001 - a plugin boundary: the others serve all the same
            broken.append(f"plugin {entry_point.name!r} is broken ({type(exc).__name__}: {exc})")
            continue
        for component in registered:
            classes.setdefault(component.type_name, component)
    return classes, broken


def _switched_on(announced: Iterable[EntryPoint] | None) -> Iterator[EntryPoint]:
    every = entry_points(group=_PLUGINS) if announced is None else announced
    off = {name.strip() for name in os.environ.get(_DISABLE_VARIABLE, "").split(",")}
    for entry_point in sorted(every, key=lambda one: (not _own(one), one.name)):
        if entry_point.name not in off:
            yield entry_point


def _own(entry_point: EntryPoint) -> bool:
    """Tell whether a plugin is built in; nobody takes a type from one of those."""
    return entry_point.dist is not None and entry_point.dist.name == "al-framework"


def _context(name: str, base_dir: Path) -> Context:
    return Context(
        name=name,
        logger=logging.getLogger(f"al_framework.predictor.{name}"),
        clock=SystemClock(),
        base_dir=base_dir.absolute(),
        state_dir=base_dir.absolute() / ".al" / "state",
    )


def _started(predictor: Predictor[Any], stack: ExitStack) -> Predictor[Any]:
    stack.callback(predictor.close)
    try:
        predictor.start()
    except AlFrameworkError:
        raise
    except Exception as exc:
        raise AlFrameworkError(
            f"predictor {predictor.context.name!r} could not start: {type(exc).__name__}: {exc}"
        ) from exc
    return predictor
