"""What all steps have in common: fields that may be selectors, and what they refer to."""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from al_framework.api import Fault
from al_framework_roboflow.workflow.elements import StepOutput
from al_framework_roboflow.workflow.execution import Execution
from al_framework_roboflow.workflow.faults import faults_of
from al_framework_roboflow.workflow.selectors import (
    InputSelector,
    OutputSelector,
    is_selector,
    parse_selector,
)

Kind: TypeAlias = Literal[
    "image", "detections", "classification", "prediction_type", "size", "value"
]
T = TypeVar("T")

_BOUND: Mapping[str, object] = {"bound": True}


def _input_or(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """Let a selector of an input pass; what it refers to is checked when the run begins."""
    bound = info.context is not None and info.context.get("bound")
    if bound or not is_selector(value):
        return handler(value)
    if not isinstance(parse_selector(value), InputSelector):
        raise ValueError(f"{value!r} refers to a step: write a value or $inputs.<name>")  # noqa: TRY004 - pydantic's word for a fault
    return value


def _selector_or(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """Let an output's selector pass as well, which stays in its place."""
    if is_selector(value) and isinstance(parse_selector(value), OutputSelector):
        return value
    return _input_or(value, handler, info)


_OR_INPUT = WrapValidator(_input_or)
_OR_SELECTOR = WrapValidator(_selector_or)
OrInput = Annotated[T, _OR_INPUT]
OrSelector = Annotated[T, _OR_SELECTOR]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _is_image_selector(value: str) -> str:
    parse_selector(value)
    return value


def _is_output_selector(value: str) -> str:
    if not isinstance(parse_selector(value), OutputSelector):
        raise ValueError(f"{value!r} refers to no step: write $steps.<step name>.<output>")  # noqa: TRY004 - pydantic's word for a fault
    return value


def _can_be_referred_to(name: str) -> str:
    if not name.strip() or "." in name or "$" in name:
        raise ValueError(f"{name!r} can be no name: selectors could not refer to it, leave out . $")
    return name


ImageSelectors = Annotated[
    list[Annotated[str, AfterValidator(_is_image_selector)]],
    BeforeValidator(_as_list),
    Field(min_length=1),
]
OutputReference = Annotated[str, AfterValidator(_is_output_selector)]
StepName = Annotated[str, AfterValidator(_can_be_referred_to)]
# Bounds stand inside of OrInput: outside of it they would be applied to the selector.
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Share = Annotated[float, Field(gt=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(min_length=1)]

IMAGE = Field(validation_alias=AliasChoices("image", "images"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One selector in a step.

    Attributes:
        place: Where it stands in the step: ``predictions[1]``.
        text: The selector.
        kinds: What it may refer to.
        about_pictures: Whether what it refers to is about the same pictures as the step.
    """

    place: str
    text: str
    kinds: frozenset[Kind]
    about_pictures: bool = False


class Step(BaseModel):
    """One step of a workflow.

    Attributes:
        types: Every name that documents give to the type.
        outputs: What other steps may refer to.
        tagged: The models of its unions by their tags.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        hide_input_in_errors=True,
    )

    types: ClassVar[tuple[str, ...]]
    outputs: ClassVar[Mapping[str, Kind]] = {}
    tagged: ClassVar[Mapping[str, type[BaseModel]]] = {}

    type: str  # one of `types`: by it the class was found
    name: StepName

    def faults(self, at: str, names: Collection[str]) -> list[Fault]:
        """Return what is wrong with fields that their types alone cannot tell.

        Args:
            at: Where the step stands in the document.
            names: The fields that have not been looked at yet.
        """
        del at, names
        return []

    @abstractmethod
    def run(self, execution: Execution) -> StepOutput:
        """Return what the step says of its pictures; called on a bound step."""

    def references(self) -> Iterator[Reference]:
        """Yield every selector of the step."""
        for name, value in self._inputs():
            yield Reference(place=name, text=value, kinds=frozenset({"value"}))
        for index, text in enumerate(self.images()):
            place = "image" if len(self.images()) == 1 else f"image[{index}]"
            yield Reference(place=place, text=text, kinds=frozenset({"image"}))

    def images(self) -> Sequence[str]:
        """Return the selectors of its pictures; none where another step's output says them."""
        return getattr(self, "image", ())

    def bind(self, inputs: Mapping[str, object], at: str) -> Self | list[Fault]:
        """Return the step with its inputs in place of their selectors, or what is wrong with them.

        Args:
            inputs: The values by name.
            at: Where the step stands in the document.
        """
        values = {name: getattr(self, name) for name in self.model_fields_set}
        selectors = dict(self._inputs())
        for name, text in selectors.items():
            selector = parse_selector(text)
            assert isinstance(selector, InputSelector)  # noqa: S101 - validated as one
            values[name] = inputs[selector.name]
        try:
            bound = self.model_validate(values, context=_BOUND)
            faults = bound.faults(at, selectors)
        except ValidationError as exc:
            faults = list(faults_of(exc, at, type(self), self.tagged))
        else:
            if not faults:
                return bound
        return [
            replace(fault, message=f"{_source(fault, at, selectors)}{fault.message}")
            for fault in faults
        ]

    def _inputs(self) -> Iterator[tuple[str, str]]:
        """Yield the fields that are selectors of inputs, with the selectors."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if not is_selector(value):
                continue
            either = _OR_SELECTOR in field.metadata
            if _OR_INPUT in field.metadata or (
                either and isinstance(parse_selector(value), InputSelector)
            ):
                yield name, value


def _source(fault: Fault, at: str, selectors: Mapping[str, str]) -> str:
    name = fault.path.removeprefix(f"{at}.").partition(".")[0].partition("[")[0]
    return f"{selectors[name]}: " if name in selectors else ""


def kinds(*names: Kind) -> frozenset[Kind]:
    """Return a set of kinds."""
    return frozenset(names)


def about(references: Iterable[Reference]) -> list[OutputSelector]:
    """Return the outputs that have to be about the same pictures as the step itself."""
    selectors = [parse_selector(one.text) for one in references if one.about_pictures]
    return [one for one in selectors if isinstance(one, OutputSelector)]
