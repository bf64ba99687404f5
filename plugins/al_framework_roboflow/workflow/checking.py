"""Check what the selectors of a workflow refer to: that it exists, fits, and is of one picture."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

from al_framework.api import Fault
from al_framework_roboflow.workflow.declarations import JsonField
from al_framework_roboflow.workflow.faults import suggestion
from al_framework_roboflow.workflow.ordering import CycleError, ordered
from al_framework_roboflow.workflow.selectors import (
    EVERYTHING,
    InputSelector,
    OutputSelector,
    parse_selector,
)
from al_framework_roboflow.workflow.steps import Step
from al_framework_roboflow.workflow.steps.base import Reference, about

Pictures: TypeAlias = tuple[str, ...]


def cycle_faults(steps: Mapping[str, Step]) -> Iterator[Fault]:
    """Yield a fault where steps wait for each other.

    Args:
        steps: By their places.
    """
    try:
        ordered({step.name: step for step in steps.values()})
    except CycleError as exc:
        place = next(place for place, step in steps.items() if step.name == exc.names[0])
        yield Fault(path=place, message=str(exc))


def reference_faults(
    inputs: Mapping[str, bool],
    steps: Mapping[str, Step],
    outputs: Mapping[str, JsonField],
    *,
    broken: Collection[str] = (),
) -> list[Fault]:
    """Return what is wrong with the selectors of a document without cycles.

    Args:
        inputs: Names of the inputs, and whether they are images.
        steps: By their places.
        outputs: The workflow's outputs by their places.
        broken: Names of steps and inputs that could not be read: what refers to them is left alone.
    """
    by_name = {step.name: step for step in steps.values()}
    faults: list[Fault] = []
    for place, step in steps.items():
        for reference in step.references():
            message = _step_fault(reference, inputs, by_name)
            if message is not None and _target(reference.text) not in broken:
                faults.append(Fault(path=f"{place}.{reference.place}", message=message))
    for place, output in outputs.items():
        message = _output_fault(output.selector, by_name)
        if message is not None and _target(output.selector) not in broken:
            faults.append(Fault(path=f"{place}.selector", message=message))
    return faults


def picture_faults(steps: Mapping[str, Step]) -> Iterator[Fault]:
    """Yield a fault for each step that mixes what is about different pictures.

    Args:
        steps: By their places, without faults of another kind.
    """
    pictures: dict[str, Pictures] = {}
    for step in ordered({step.name: step for step in steps.values()}):
        own = tuple(step.images())
        pictures[step.name] = own or pictures[about(step.references())[0].step]
    for place, step in steps.items():
        seen = pictures[step.name]
        for selector in about(step.references()):
            other = pictures[selector.step]
            if other != seen:
                yield Fault(
                    path=place,
                    message=f"{str(selector)!r} is about {_listed(other)}, and the step looks at "
                    f"{_listed(seen)}: both have to be the same",
                )


def _target(text: str) -> str:
    """Return the name of the step or the input that a selector refers to; empty if it is none."""
    return next(iter(text.split(".")[1:]), "")


def _step_fault(
    reference: Reference, inputs: Mapping[str, bool], steps: Mapping[str, Step]
) -> str | None:
    selector = parse_selector(reference.text)
    if isinstance(selector, InputSelector):
        if selector.name not in inputs:
            hint = suggestion(selector.name, inputs, what="inputs")
            return f"{reference.text!r} refers to no input: {hint}"
        wants_image = "image" in reference.kinds
        if inputs[selector.name] == wants_image:
            return None
        wanted, found = ("an image", "a value") if wants_image else ("a value", "an image")
        return f"{reference.text!r} is {found}: {wanted} is needed here"
    fault = _missing(selector, steps)
    if fault is not None:
        return fault
    kind = steps[selector.step].outputs[selector.field]
    if kind in reference.kinds:
        return None
    fitting = [
        f"$steps.{step.name}.{field}"
        for step in steps.values()
        for field, one in step.outputs.items()
        if one in reference.kinds
    ]
    wanted = " or ".join(sorted(one.replace("_", " ") for one in reference.kinds))
    return (
        f"{reference.text!r} is no {wanted}: "
        f"{suggestion(reference.text, fitting, what='selectors that fit')}"
    )


def _output_fault(text: str, steps: Mapping[str, Step]) -> str | None:
    try:
        selector = parse_selector(text)
    except ValueError as exc:
        return str(exc)
    if isinstance(selector, InputSelector):
        return f"{text!r} refers to an input: outputs show what steps say, $steps.<name>.<output>"
    return _missing(selector, steps)


def _missing(selector: OutputSelector, steps: Mapping[str, Step]) -> str | None:
    step = steps.get(selector.step)
    if step is None:
        hint = suggestion(selector.step, steps, what="steps")
        return f"{str(selector)!r} refers to no step: {hint}"
    if selector.field not in (*step.outputs, EVERYTHING):
        hint = suggestion(selector.field, step.outputs, what="outputs")
        return f"{str(selector)!r}: a step of type {step.type!r} has no such output: {hint}"
    return None


def _listed(pictures: Sequence[str]) -> str:
    return " and ".join(pictures)
