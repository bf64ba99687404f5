"""What a step sees of the run it is part of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from pydantic import SecretStr

from al_framework.api import Frame
from al_framework_roboflow.workflow.elements import Failure, Item, Picture, StepOutput
from al_framework_roboflow.workflow.selectors import (
    InputSelector,
    OutputSelector,
    parse_selector,
)

if TYPE_CHECKING:  # `al workflow check` needs no collectors, and they cost half a second
    from al_framework_roboflow.pool import CollectorPool

Generation: TypeAlias = Literal[1, 2]
ANY_MODEL = "*"


class PredictorLike(Protocol):
    """Anything that looks at a frame; `al_framework.api.Predictor` is one."""

    def predict(self, frame: Frame) -> object:
        """Return a prediction or a response document."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Execution:
    """One run of a workflow.

    Attributes:
        generation: Whose names and shapes the outputs have: of inference 0.9 (1) or 0.10 to 0.12.
        inputs: The parameters by name, defaults included.
        pictures: The pictures of each image input.
        outputs: What the steps so far have left behind.
        predictors: By model id; `ANY_MODEL` for all others.
        pool: The collectors.
        api_key: The request's key, or None.
        new_id: Makes names of detections.
        wait_configuration_s: How long to wait for a configuration that has to be fetched.
    """

    generation: Generation
    inputs: Mapping[str, object]
    pictures: Mapping[str, Sequence[Picture | Failure]]
    predictors: Mapping[str, PredictorLike]
    pool: "CollectorPool"
    api_key: SecretStr | None
    new_id: Callable[[], str]
    wait_configuration_s: float = 0.0
    outputs: dict[str, StepOutput] = field(default_factory=dict)

    def predictor(self, model_id: str) -> PredictorLike | None:
        """Return who answers for a model, or None."""
        found = self.predictors.get(model_id)
        return self.predictors.get(ANY_MODEL) if found is None else found

    def look_up(self, selectors: Sequence[str]) -> list[Picture | Failure]:
        """Return the pictures that image selectors refer to, one selector's after the other."""
        pictures: list[Picture | Failure] = []
        for text in selectors:
            selector = parse_selector(text)
            if isinstance(selector, InputSelector):
                pictures += self.pictures[selector.name]
            elif selector.step in self.outputs:
                pictures += self.outputs[selector.step].pictures
        return pictures

    def items(self, text: str) -> tuple[Item | Failure, ...]:
        """Return what the step of an output selector says, one item for each picture."""
        selector = parse_selector(text)
        assert isinstance(selector, OutputSelector)  # noqa: S101 - the document was checked
        output = self.outputs.get(selector.step)
        return () if output is None else output.items
