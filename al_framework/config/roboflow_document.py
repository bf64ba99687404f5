"""The ``active_learning`` section: a Roboflow Active Learning document and our one addition.

Roboflow's documentation promises more than its loader checks; what it promises is checked here.
Source: Roboflow Active Learning documentation; behaviour of inference 1.8.3.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictBool, field_validator

TAG_PATTERN = r"^[A-Za-z0-9\-_:/.\[\]<>{}@]{1,64}$"
STRATEGY_NAME_PATTERN = r"^[^\x00-\x1f\x7f]+$"
# Control characters, and those that reorder what is printed around them.
BATCH_PREFIX_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]*$"

TaskGroup: TypeAlias = Literal["detections", "classification"]

TASK_GROUPS: Mapping[TaskGroup, frozenset[str]] = MappingProxyType(
    {
        "detections": frozenset(
            {
                "object-detection",
                "instance-segmentation",
                "keypoint-detection",
                "keypoints-detection",  # so spelt in Roboflow's documentation
            }
        ),
        "classification": frozenset({"classification"}),
    }
)
"""What ``applies_to`` can name, with the prediction types that it stands for."""

Tag: TypeAlias = Annotated[str, Field(pattern=TAG_PATTERN)]
Pixels: TypeAlias = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """Base of our own sections: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class LimitModel(Section):
    """At most so many datapoints of one strategy per UTC calendar window."""

    type: Literal["minutely", "hourly", "daily"] = Field(description="The window")
    value: int = Field(gt=0, description="Datapoints in each window")


class StrategyCommonModel(Section):
    """What every entry of ``sampling_strategies`` has, whatever its type."""

    name: str = Field(
        pattern=STRATEGY_NAME_PATTERN,
        description="Names the strategy; unique in the document and, as limits are counted by it, "
        "best unique in the project",
    )
    type: str = Field(min_length=1, description="Strategy type of an installed plugin")
    tags: tuple[Tag, ...] = Field(
        default=(), description="Tags of the pictures whose place this strategy pays for"
    )
    limits: tuple[LimitModel, ...] = Field(
        default=(), description="All of them must have room; none: no limit"
    )
    applies_to: tuple[TaskGroup, ...] | None = Field(
        default=None,
        # Not min_length: pydantic would count an unknown group as none.
        json_schema_extra={"minItems": 1},
        description="Predictions it is asked about; by default what its type is made for. Not part "
        "of Roboflow's document",
    )

    @field_validator("applies_to")
    @classmethod
    def _applies_to_something(
        cls, groups: tuple[TaskGroup, ...] | None
    ) -> tuple[TaskGroup, ...] | None:
        if groups == ():
            raise ValueError("is empty: name what the strategy is asked about, or leave it out")
        return groups


class BatchingStrategyModel(Section):
    """How collected pictures are grouped into labelling batches."""

    batches_name_prefix: str = Field(
        pattern=BATCH_PREFIX_PATTERN, description="What every batch name begins with"
    )
    recreation_interval: Literal["never", "daily", "weekly", "monthly"] = Field(
        description="How often a new batch begins"
    )
    max_batch_images: int | None = Field(
        default=None, gt=0, description="Pictures that one batch may hold; null: no limit"
    )


class ActiveLearningModel(Section):
    """A Roboflow Active Learning document, without its strategies."""

    enabled: StrictBool = Field(description="False switches collection off; nothing else is read")
    persist_predictions: StrictBool = Field(
        description="Whether the model's predictions are delivered as pre-annotations"
    )
    max_image_size: tuple[Pixels, Pixels] | None = Field(
        default=None, description="[height, width] in pixels that larger pictures are scaled into"
    )
    jpeg_compression_level: int = Field(
        default=95, ge=1, le=100, description="JPEG quality, 100 is best"
    )
    tags: tuple[Tag, ...] = Field(default=(), description="Tags of every picture")
    batching_strategy: BatchingStrategyModel = Field(
        description="How collected pictures are grouped into labelling batches"
    )
    target_workspace: str | None = Field(
        default=None, description="Roboflow workspace to deliver to instead of the key's own"
    )
    target_project: str | None = Field(
        default=None, description="Roboflow project to deliver to instead of the sink's own"
    )
    selection: Literal["first_match"] = Field(
        default="first_match",
        description="Which strategy pays when several take a picture: the first with room. "
        "Not part of Roboflow's document",
    )


class ActiveLearningDocumentModel(ActiveLearningModel):
    """A whole document; its strategies are checked one by one, each by its own type."""

    sampling_strategies: tuple[Any, ...] = Field(
        min_length=1,
        repr=False,
        description="Which pictures to collect; their order decides who pays",
    )


class DisabledModel(BaseModel):
    """A document that is switched off: nothing else is read, as with Roboflow."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    enabled: Literal[False] = Field(description="Collection is off")


def switched_off() -> ActiveLearningModel:
    """Return what stands for ``enabled: false``."""
    never = BatchingStrategyModel(batches_name_prefix="", recreation_interval="never")
    return ActiveLearningModel(enabled=False, persist_predictions=False, batching_strategy=never)
