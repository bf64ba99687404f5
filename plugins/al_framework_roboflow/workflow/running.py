"""Run a workflow: its steps one after the other, each over all its pictures."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from al_framework.api import Fault
from al_framework_roboflow.workflow.declarations import ParameterInput
from al_framework_roboflow.workflow.documents import Workflow, read_workflow
from al_framework_roboflow.workflow.elements import Failure, Item
from al_framework_roboflow.workflow.errors import WorkflowFaultsError
from al_framework_roboflow.workflow.execution import (
    ANY_MODEL,
    Execution,
    PredictorLike,
)
from al_framework_roboflow.workflow.faults import suggestion
from al_framework_roboflow.workflow.outputs import field_value, step_document
from al_framework_roboflow.workflow.pictures import input_pictures, paired_images
from al_framework_roboflow.workflow.steps import Step
from al_framework_roboflow.workflow.steps.collector import ActiveLearningDataCollector
from al_framework_roboflow.workflow.steps.models import ModelStep

if TYPE_CHECKING:  # checking a document needs no collectors, and they cost half a second
    from al_framework_roboflow.pool import CollectorPool

_NO_INPUTS: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a collector step did with one picture.

    Attributes:
        picture: The picture, for people: a file's name or ``$inputs.image[0]``; of a crop with the
            picture it was cut from.
        status: ``queued``, ``accepted``, ``not_selected``, ``limited``, ``dropped``, ``invalid``,
            ``disabled``, ``no_api_key`` or ``error``.
        error_status: Whether a person has to repair something.
        message: The same in words.
        frame_id: The name of the frame, where there is one.
        item_id: The name of the datapoint, where there is one already.
    """

    picture: str
    status: str
    error_status: bool
    message: str
    frame_id: str | None = None
    item_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowResult:
    """What a workflow returned.

    Attributes:
        outputs: The document's outputs: a list each, with one value for each picture.
        steps: What every step said, in the shapes of the document's generation.
        collected: What each collector step did, by the step's name.
        problems: What failed, a sentence each; the rest has been done all the same.
    """

    outputs: Mapping[str, list[Any]]
    steps: Mapping[str, Any]
    collected: Mapping[str, tuple[Collected, ...]]
    problems: tuple[str, ...] = ()


def run_workflow(  # noqa: PLR0913 - all but the document by name
    document: Workflow | Mapping[str, object] | str | Path,
    *,
    images: object,
    predictors: Mapping[str, PredictorLike],
    pool: "CollectorPool",
    inputs: Mapping[str, object] = _NO_INPUTS,
    api_key: str | SecretStr | None = None,
    wait_configuration_s: float = 0.0,
    new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> WorkflowResult:
    """Run a workflow over one image or a batch of them.

    A picture that fails at a step is left out of the later ones, and its neighbours are not
    disturbed; collectors answer for it all the same.

    Args:
        document: A workflow, its document, or a JSON file.
        images: One image or a list of them (arrays in BGR, PIL images, encoded bytes, paths,
            dictionaries of Roboflow Inference); for a workflow of several image inputs a mapping.
        predictors: Who answers for the models, by model id; ``*`` for all others. YOLO-World's
            ids are ``yolo_world/l`` and so on.
        pool: The collectors.
        inputs: The other inputs by name.
        api_key: The request's API key, for collectors without one of their own.
        wait_configuration_s: How long a collector without a configuration of its own waits for the
            project's, the first time. By default not at all, as in a server: pictures offered
            before it is there are dropped, and the results say so.
        new_id: Makes names of detections that have none.

    Raises:
        WorkflowFaultsError: The document has faults, an input is missing or does not fit, or no
            predictor answers for a model; nothing has been done then.
    """
    workflow = read_workflow(document)
    given, faults = _inputs(workflow, inputs)
    found, problems = paired_images(images, workflow.images)
    faults += [Fault(path=place, message=message) for place, message in problems]
    if faults:
        raise WorkflowFaultsError(faults, origin=workflow.origin)
    execution = Execution(
        generation=workflow.generation,
        inputs=given,
        pictures={
            name: input_pictures(name, one, workflow.generation) for name, one in found.items()
        },
        predictors=predictors,
        pool=pool,
        api_key=SecretStr(api_key) if isinstance(api_key, str) else api_key,
        new_id=new_id,
        wait_configuration_s=wait_configuration_s,
    )
    steps = _bound(workflow, execution)
    for step in steps:
        if workflow.generation == 2 and not _has_pictures(step, execution):
            continue  # a crop step that finds nothing ends its branch
        execution.outputs[step.name] = step.run(execution)
    return _result(workflow, steps, execution)


def _inputs(
    workflow: Workflow, inputs: Mapping[str, object]
) -> tuple[dict[str, object], list[Fault]]:
    known = {n: one for n, one in workflow.inputs.items() if isinstance(one, ParameterInput)}
    values: dict[str, object] = {}
    faults = []
    for name, one in known.items():
        if name in inputs:
            values[name] = inputs[name]
        elif one.optional:
            values[name] = one.default_value
        else:
            faults.append(Fault(path=f"inputs.{name}", message="is not given, and has no default"))
    for name in inputs:
        if name not in known:
            hint = suggestion(name, known, what="inputs")
            faults.append(Fault(path=f"inputs.{name}", message=f"is no input: {hint}"))
    return values, faults


def _bound(workflow: Workflow, execution: Execution) -> list[Step]:
    """Return the steps with their inputs in place.

    Raises:
        WorkflowFaultsError: A value does not fit, or nobody answers for a model.
    """
    steps: list[Step] = []
    faults: list[Fault] = []
    for step in workflow.steps:
        place = workflow.places[step.name]
        bound = step.bind(execution.inputs, place)
        if isinstance(bound, list):
            faults += bound
            continue
        if isinstance(bound, ModelStep) and execution.predictor(bound.model) is None:
            hint = suggestion(bound.model, execution.predictors, what="models")
            message = (
                f"no predictor answers for the model {bound.model!r}: {hint}; {ANY_MODEL!r} "
                "stands for all others; al workflow run takes --inference-url or --models"
            )
            faults.append(Fault(path=place, message=message))
        steps.append(bound)
    if faults:
        raise WorkflowFaultsError(faults, origin=workflow.origin)
    return steps


def _has_pictures(step: Step, execution: Execution) -> bool:
    if step.images():
        return bool(execution.look_up(step.images()))
    return any(execution.items(one.text) for one in step.references() if one.about_pictures)


def _result(workflow: Workflow, steps: Iterable[Step], execution: Execution) -> WorkflowResult:
    generation = workflow.generation
    prefix = "$steps." if generation == 1 else ""
    collected: dict[str, tuple[Collected, ...]] = {}
    problems: dict[str, None] = {}
    for step in steps:
        output = execution.outputs.get(step.name)
        if output is None:
            continue
        for element in (*output.items, *output.pictures):
            if isinstance(element, Failure):
                problems.setdefault(element.message)
        if isinstance(step, ActiveLearningDataCollector):
            results = tuple(_collected(item) for item in output.items if isinstance(item, Item))
            collected[step.name] = results
            problems |= dict.fromkeys(one.message for one in results if one.error_status)
    return WorkflowResult(
        outputs={
            one.name: field_value(one, execution.outputs, generation) for one in workflow.outputs
        },
        steps={
            f"{prefix}{name}": step_document(output, generation)
            for name, output in execution.outputs.items()
        },
        collected=collected,
        problems=tuple(problems),
    )


def _collected(item: Item) -> Collected:
    values: Any = item.values
    return Collected(picture=item.label, **values)
