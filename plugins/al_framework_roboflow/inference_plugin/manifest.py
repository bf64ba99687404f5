"""The block's manifest: its fields, the kinds they accept, and its outputs."""

from functools import cache
from typing import Any, Literal

from pydantic import AliasChoices, ConfigDict, Field, create_model

from al_framework_roboflow.inference_plugin import engine

# The engine that this was tried with (1.17.0, Inference 1.8.3) and later ones of its generation.
# An older one does not offer the block at all, which its users see at once; there the key of a
# request could not reach us.
ENGINE_VERSIONS = ">=1.17.0,<2.0.0"

_LONG_DESCRIPTION = """
Look at images and predictions, decide by the sampling strategies of an Active Learning document
which are worth a label, keep within its limits, and send them with their predictions to a Roboflow
project, grouped into labelling batches.

The step answers at once: what it takes is kept on disk and delivered in the background, with
retries, also after a restart. `status` says what became of an element: `queued`, `accepted`,
`not_selected`, `limited`, `dropped`, `disabled`, `no_api_key`, `invalid` or `error`; `message` says
it in words, and `error_status` whether somebody has to repair something.

Without `active_learning_configuration` the document of the target project is fetched and kept
fresh. The key is `target_dataset_api_key`, else that of the request.
"""


class _CollectorManifest(engine.WorkflowBlockManifest):  # type: ignore[misc] # Any: see `engine`
    model_config = ConfigDict(
        json_schema_extra={
            "name": "Active Learning Data Collector",
            "version": "v1",
            "short_description": "Collect images worth a label into a Roboflow project.",
            "long_description": _LONG_DESCRIPTION,
            "license": "Apache-2.0",
            "block_type": "sink",
            "ui_manifest": {
                "section": "data_storage",
                "icon": "far fa-seedling",
                "requires_rf_key": True,
            },
        }
    )

    @classmethod
    def get_parameters_accepting_batches(cls) -> list[str]:
        return ["images", "predictions"]

    @classmethod
    def describe_outputs(cls) -> list[Any]:
        kinds = engine.kinds
        return [
            engine.OutputDefinition(name="error_status", kind=[kinds.BOOLEAN_KIND]),
            engine.OutputDefinition(name="message", kind=[kinds.STRING_KIND]),
            engine.OutputDefinition(name="status", kind=[kinds.STRING_KIND]),
        ]

    @classmethod
    def get_execution_engine_compatibility(cls) -> str:
        return ENGINE_VERSIONS

    @classmethod
    def get_air_gapped_availability(cls) -> Any:
        return engine.AirGappedAvailability(available=False, reason="requires_internet")

    def discover_dependent_resources(self) -> list[Any] | None:
        if engine.platform_project is None:
            return None
        if getattr(self, "disable_active_learning", False) is True:
            return []
        return [engine.platform_project(project_url=getattr(self, "target_dataset", ""))]

    def discover_work_operations(self) -> list[Any] | None:
        if engine.work_operations is None:
            return None
        return [engine.work_operations.EXTERNAL_REQUEST, engine.work_operations.IMAGE_ENCODING]


@cache
def manifest_class(type_names: tuple[str, ...]) -> type[Any]:
    """Return the manifest under these names, the canonical one first; the same one every time."""
    literal: Any = Literal
    manifest: type[Any] = create_model(
        "ActiveLearningDataCollectorManifest",
        __base__=_CollectorManifest,
        __module__=__name__,
        type=(literal[type_names], ...),
        **_fields(),
    )
    return manifest


def _fields() -> dict[str, Any]:
    """Return the fields beside type and name; a selector names an input or a step's output."""
    kinds = engine.kinds
    selector = kinds.Selector
    text = kinds.STRING_KIND
    return {
        "images": (
            selector(kind=[kinds.IMAGE_KIND]),
            Field(
                title="Image",
                description="Image that the predictions were made on, or crops.",
                examples=["$inputs.image", "$steps.crop.crops"],
                validation_alias=AliasChoices("images", "image"),
            ),
        ),
        "predictions": (
            selector(
                kind=[
                    kinds.OBJECT_DETECTION_PREDICTION_KIND,
                    kinds.INSTANCE_SEGMENTATION_PREDICTION_KIND,
                    kinds.RLE_INSTANCE_SEGMENTATION_PREDICTION_KIND,
                    kinds.KEYPOINT_DETECTION_PREDICTION_KIND,
                    kinds.CLASSIFICATION_PREDICTION_KIND,
                    kinds.TOP_CLASS_KIND,
                ]
            ),
            Field(
                description="Predictions that the strategies judge, and that become annotations.",
                examples=["$steps.model.predictions"],
            ),
        ),
        "target_dataset": (
            selector(kind=[kinds.ROBOFLOW_PROJECT_KIND, text]) | str,
            Field(
                description="Project that the images go to.",
                examples=["my-project", "$inputs.target_dataset"],
            ),
        ),
        "prediction_type": (
            selector(kind=[kinds.PREDICTION_TYPE_KIND, text]) | str | None,
            Field(
                default=None,
                description="Type of the predictions; by default what they say themselves.",
                examples=["object-detection"],
            ),
        ),
        "target_dataset_api_key": (
            selector(kind=[text, kinds.ROBOFLOW_API_KEY_KIND, kinds.SECRET_KIND]) | str | None,
            Field(
                default=None,
                description="API key of the project's workspace; by default the request's.",
                examples=["$inputs.target_dataset_api_key"],
                repr=False,
            ),
        ),
        "disable_active_learning": (
            selector(kind=[kinds.BOOLEAN_KIND]) | bool,
            Field(
                default=False,
                description="Whether to collect nothing; wins over everything else.",
                examples=[True, "$inputs.disable_active_learning"],
            ),
        ),
        "active_learning_configuration": (
            selector(kind=[kinds.DICTIONARY_KIND]) | dict[str, Any] | None,
            Field(
                default=None,
                description="Active Learning document; by default that of the target project.",
                examples=["$inputs.active_learning_configuration"],
            ),
        ),
    }
