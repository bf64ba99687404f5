"""The block itself: between the engine's values and our step."""

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from pydantic import SecretStr

from al_framework_roboflow.inference_plugin import engine
from al_framework_roboflow.inference_plugin.documents import readable
from al_framework_roboflow.inference_plugin.images import element_of, place_in_root, size_of
from al_framework_roboflow.inference_plugin.manifest import manifest_class
from al_framework_roboflow.pool import CollectorPool
from al_framework_roboflow.step import ActiveLearningDataCollector, StepResult

logger = logging.getLogger(__name__)

_DISABLED = StepResult(
    status="disabled",
    error_status=False,
    message="sinks are disabled by the request that runs the workflow",
)


class _Element(NamedTuple):
    image: object
    prediction: object
    prediction_type: str | None


class ActiveLearningDataCollectorBlock(engine.WorkflowBlock):  # type: ignore[misc] # Any: see `engine`
    """Collects images worth a label.

    The engine makes one for every compilation, in the HTTP server for every request, so nothing is
    kept here. Neither the server's background tasks nor its thread pool are asked for: the pool's
    collectors answer at once and deliver on threads of their own, which work in video pipelines
    too, where nobody runs background tasks.
    """

    def __init__(
        self,
        *,
        al_framework_collector_pool: CollectorPool,
        api_key: str | None,
        disable_sinks: bool = False,
    ) -> None:
        self._pool = al_framework_collector_pool
        self._api_key = SecretStr(api_key) if api_key else None
        self._disable_sinks = disable_sinks

    @classmethod
    def get_init_parameters(cls) -> list[str]:
        """Return what the engine has to look up."""
        return ["al_framework_collector_pool", "api_key", "disable_sinks"]

    def run(  # noqa: PLR0913, PLR0917 - one parameter per field of the manifest, as the engine asks
        self,
        images: Sequence[Any],
        predictions: Sequence[Any],
        target_dataset: str,
        prediction_type: str | None = None,
        target_dataset_api_key: str | None = None,
        disable_active_learning: bool | str = False,
        active_learning_configuration: Mapping[str, object] | None = None,
    ) -> list[dict[str, object]]:
        """Offer every element of a batch; one answer per element, and never an exception."""
        if self._disable_sinks:
            return [_answer(_DISABLED)] * len(images)
        step = ActiveLearningDataCollector(
            self._pool, name=str(getattr(self, "_workflow_step_name", "collector"))
        )
        elements = [
            self._element(image, prediction, prediction_type)
            for image, prediction in zip(images, predictions, strict=False)
        ]
        good = [element for element in elements if isinstance(element, _Element)]
        try:
            taken = iter(
                step.run(
                    image=[element.image for element in good],
                    predictions=[element.prediction for element in good],
                    prediction_type=[element.prediction_type for element in good],
                    target_dataset=target_dataset,
                    target_dataset_api_key=target_dataset_api_key,
                    disable_active_learning=disable_active_learning,
                    active_learning_configuration=active_learning_configuration,
                    api_key=self._api_key,
                )
            )
            results = [next(taken) if isinstance(one, _Element) else one for one in elements]
        except Exception as exc:
            # A workflow must not fail because nothing could be collected.
            logger.exception("the collector step failed")
            results = [_failed("error", exc)] * len(images)
        return [_answer(result) for result in results]

    @staticmethod
    def _element(image: Any, prediction: Any, prediction_type: str | None) -> _Element | StepResult:
        """Return an element for the step, or why there is none."""
        try:
            read, derived = readable(
                engine.without_tensors(prediction),
                image_size=size_of(image),
                place=place_in_root(image),
                outline=engine.outline_of_mask,
            )
            return _Element(element_of(image), read, prediction_type or derived)
        except Exception as exc:  # noqa: BLE001 - a bad element must not drop its neighbours
            return _failed("invalid", exc)


def _failed(status: str, exc: Exception) -> StepResult:
    return StepResult(status=status, error_status=True, message=str(exc) or type(exc).__name__)


def _answer(result: StepResult) -> dict[str, object]:
    return {
        "error_status": result.error_status,
        "message": result.message,
        "status": result.status,
    }


@cache
def block_class(type_names: tuple[str, ...]) -> type[Any]:
    """Return the block under these names, the canonical one first; the same one every time.

    Raises:
        ImportError: The steps exchange tensors, and this engine cannot convert them.
    """
    if engine.tensors_are_used():
        engine.conversion_of_tensors()
    manifest = manifest_class(type_names)

    def get_manifest(_cls: type[Any]) -> type[Any]:
        return manifest

    # The engine keeps what it builds of a block by the class's name, so another set of names needs
    # another one.
    name = ActiveLearningDataCollectorBlock.__name__ + "V1" + "Namespaced" * (len(type_names) == 1)
    return type(
        name,
        (ActiveLearningDataCollectorBlock,),
        {"__module__": __name__, "get_manifest": classmethod(get_manifest)},
    )
