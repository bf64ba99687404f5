"""Read a workflow document, of either generation, and find everything that is wrong with it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from al_framework.api import Fault
from al_framework_roboflow.workflow.checking import (
    cycle_faults,
    picture_faults,
    reference_faults,
)
from al_framework_roboflow.workflow.declarations import (
    INPUT_TYPES,
    OUTPUT_TYPES,
    Border,
    ImageInput,
    JsonField,
    ParameterInput,
)
from al_framework_roboflow.workflow.errors import WorkflowFaultsError
from al_framework_roboflow.workflow.execution import Generation
from al_framework_roboflow.workflow.faults import faults_of, shown, suggestion
from al_framework_roboflow.workflow.ordering import ordered
from al_framework_roboflow.workflow.steps import OTHER_TYPES, STEP_TYPES, Step

MAX_BYTES = 1024 * 1024
# What documents of the first generation do not have.
_GENERATION_2_KEYS = (
    "images",
    "prediction_type",
    "image_metadata",
    "predictions_batches",
    "offset_width",
)


class _Document(Border):
    version: Any = None
    inputs: list[Any] = Field(default_factory=list)
    steps: Annotated[list[Any], Field(min_length=1)]
    outputs: list[Any] = Field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A workflow that can be run.

    Attributes:
        generation: Whose names and shapes its outputs have.
        inputs: By name, in the order of the document.
        steps: In an order in which each comes after those it refers to.
        places: Where each step stands in the document: ``steps[0]``.
        outputs: In the order of the document.
        origin: The file's name, or ``<document>``.
    """

    generation: Generation
    inputs: Mapping[str, ImageInput | ParameterInput]
    steps: Sequence[Step]
    places: Mapping[str, str]
    outputs: Sequence[JsonField]
    origin: str

    @property
    def images(self) -> list[str]:
        """Names of the image inputs."""
        return [name for name, one in self.inputs.items() if isinstance(one, ImageInput)]


def read_workflow(document: object, *, origin: str | None = None) -> Workflow:
    """Return the workflow that a document states.

    Args:
        document: A JSON file, or its content; with the wrapper ``specification`` or without.
        origin: What to call it in messages.

    Raises:
        WorkflowFaultsError: It has faults; all of them are listed.
    """
    if isinstance(document, Workflow):
        return document
    if isinstance(document, str | Path):
        origin = origin or str(document)
        document = _read_file(Path(document), origin)
    origin = origin or "<document>"
    return _Reading(origin).read(document)


def _read_file(path: Path, origin: str) -> object:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES} bytes")
        return json.loads(data, object_pairs_hook=_without_doubles, parse_constant=refused_constant)
    except OSError as exc:
        problem = f"cannot be read: {exc.strerror}"
    except (ValueError, RecursionError) as exc:
        problem = f"is no JSON document: {exc}"
    raise WorkflowFaultsError([Fault(path="", message=problem)], origin=origin)


def refused_constant(name: str) -> object:
    """Refuse what Python's reader takes and JSON does not have: ``NaN`` and ``Infinity``.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"{name} is no number of JSON")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


class _Reading:
    """One document being read, and its faults so far."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._faults: list[Fault] = []
        self._broken: set[str] = set()
        self._nameless = False
        self._at = ""

    def read(self, document: object) -> Workflow:
        wrapped = isinstance(document, Mapping) and "specification" in document
        if isinstance(document, Mapping) and wrapped:
            for key in document:
                if key != "specification":
                    self._add(str(key), "stands beside 'specification': put it inside or away")
            document, self._at = document["specification"], "specification."
        if not isinstance(document, Mapping):
            self._add(
                "",
                f"a workflow is a JSON object with inputs, steps and outputs, not "
                f"{shown(document)}",
            )
            raise self._error()
        try:
            parts = _Document.model_validate(document)
        except ValidationError as exc:
            # Without its dot: pydantic's places begin with one.
            self._faults += faults_of(exc, self._at.rstrip("."), _Document)
            self._faults = [_without_leading_dot(fault) for fault in self._faults]
            raise self._error() from None
        inputs = dict(self._named("inputs", parts.inputs, INPUT_TYPES))
        steps = dict(self._named("steps", parts.steps, STEP_TYPES))
        outputs = dict(self._named("outputs", parts.outputs, OUTPUT_TYPES))
        self._check(inputs, steps, outputs)
        if self._faults:
            raise self._error()
        second = any(
            isinstance(step, Mapping) and any(key in step for key in _GENERATION_2_KEYS)
            for step in parts.steps
        )
        by_name = {step.name: step for step in steps.values()}
        return Workflow(
            generation=1 if wrapped and not second else 2,
            inputs={one.name: one for one in inputs.values()},
            steps=ordered(by_name),
            places={step.name: place for place, step in steps.items()},
            outputs=tuple(outputs.values()),
            origin=self._origin,
        )

    def _check(
        self,
        inputs: Mapping[str, ImageInput | ParameterInput],
        steps: Mapping[str, Step],
        outputs: Mapping[str, JsonField],
    ) -> None:
        kinds = {one.name: isinstance(one, ImageInput) for one in inputs.values()}
        if self._nameless:
            return  # what refers to it would be told that there is no such step
        cycles = list(cycle_faults(steps))
        found = cycles or reference_faults(kinds, steps, outputs, broken=self._broken)
        # Which pictures a step looks at is only known where all of them can be read.
        self._faults = self._faults + found or list(picture_faults(steps))

    def _named(
        self, section: str, entries: Sequence[Any], types: Mapping[str, type[Any]]
    ) -> Iterator[tuple[str, Any]]:
        """Yield the entries that are well-formed by their places."""
        first: dict[str, str] = {}
        for index, entry in enumerate(entries):
            place = f"{self._at}{section}[{index}]"
            model = self._model(place, entry, types)
            name = entry.get("name") if isinstance(entry, Mapping) else None
            if isinstance(name, str) and name:
                self._broken.add(name)
            else:
                self._nameless = True
            if model is None:
                continue
            try:
                one = model.model_validate(entry)
            except ValidationError as exc:
                tagged = getattr(model, "tagged", None)
                self._faults += faults_of(exc, place, model, tagged)
                continue
            if isinstance(one, Step):
                self._faults += one.faults(place, type(one).model_fields)
            self._broken.discard(one.name)
            other = first.setdefault(one.name, place)
            if other != place:
                self._faults.append(
                    Fault(
                        path=f"{place}.name",
                        message=f"{one.name!r} is taken by {other}: names are unique",
                    )
                )
                continue
            yield place, one

    def _model(self, place: str, entry: object, types: Mapping[str, type[Any]]) -> type[Any] | None:
        if not isinstance(entry, Mapping):
            self._faults.append(Fault(path=place, message=f"is {shown(entry)}, not an object"))
            return None
        name = entry.get("type")
        if isinstance(name, str) and name in types:
            return types[name]
        if name is None:
            message = "is missing: add it"
        elif isinstance(name, str) and name in OTHER_TYPES and types is STEP_TYPES:
            message = f"steps of type {name!r} are not run here: they take no part in collecting"
        else:
            hint = suggestion(str(name), types, what="types")
            message = f"{shown(name)} is no type: {hint}"
        self._faults.append(Fault(path=f"{place}.type", message=message))
        return None

    def _add(self, path: str, message: str) -> None:
        self._faults.append(Fault(path=path, message=message))

    def _error(self) -> WorkflowFaultsError:
        return WorkflowFaultsError(self._faults, origin=self._origin)


def _without_leading_dot(fault: Fault) -> Fault:
    return Fault(path=fault.path.removeprefix("."), message=fault.message)
