"""Crop steps: one picture becomes several, each of which knows where it was cut out.

Source: Roboflow inference 0.9.23 and 0.12.1, for what is rounded where. Boxes that reach over the
edge are cut there (upstream takes other pixels than the box's, or none), and what lies outside
altogether is one failed element instead of an empty picture.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AliasChoices, Field

from al_framework.api import FrameError, Image
from al_framework_roboflow.workflow.elements import (
    Cut,
    Failure,
    Item,
    Picture,
    StepOutput,
    by_key,
)
from al_framework_roboflow.workflow.execution import Execution
from al_framework_roboflow.workflow.steps.base import (
    IMAGE,
    Fraction,
    ImageSelectors,
    Kind,
    OrInput,
    OutputReference,
    Reference,
    Share,
    Step,
    kinds,
)

_OUTPUTS: dict[str, Kind] = {"crops": "image", "parent_id": "value"}


class CropStep(Step):
    """A step that cuts pictures out of pictures."""

    outputs = _OUTPUTS

    image: ImageSelectors = IMAGE

    def run(self, execution: Execution) -> StepOutput:
        """Cut every picture."""
        crops: list[Picture | Failure] = []
        for element in execution.look_up(self.image):
            crops += [element] if isinstance(element, Failure) else self._cut(element, execution)
        return StepOutput(pictures=tuple(crops), makes_pictures=True)

    @abstractmethod
    def boxes(
        self, picture: Picture, execution: Execution
    ) -> Iterator[tuple[float, float, float, float, str | None]]:
        """Yield centre, size and detection of each box to cut out.

        Raises:
            FrameError: There are none to be had.
        """

    def _cut(self, picture: Picture, execution: Execution) -> Iterator[Picture | Failure]:
        try:
            boxes = list(self.boxes(picture, execution))
            pixels = picture.image.pixels()
        except FrameError as exc:
            message = f"step {self.name!r}: {picture.label}: {exc}"
            yield Failure(key=(*picture.key, self.name), label=picture.label, message=message)
            return
        height, width = pixels.shape[:2]
        root = picture.cut.origin_size if picture.cut is not None else (width, height)
        for index, (x, y, box_width, box_height, detection_id) in enumerate(boxes):
            key = (*picture.key, self.name, index)
            label = f"{picture.label} > {self.name}[{index}]"
            left, top = round(x - box_width / 2), round(y - box_height / 2)
            right, bottom = round(left + box_width), round(top + box_height)
            first, last = max(left, 0), min(right, width)
            upper, lower = max(top, 0), min(bottom, height)
            if first >= last or upper >= lower:
                yield Failure(
                    key=key,
                    label=label,
                    message=f"step {self.name!r}: {label}: the box from ({left}, {top}) to "
                    f"({right}, {bottom}) holds no pixel of a picture of {width}x{height}",
                )
                continue
            whole = (first, last, upper, lower) == (left, right, top, bottom)
            size = (last - first, lower - upper)
            taken = pixels[upper:lower, first:last]
            box_size = (box_width, box_height) if whole else size
            yield Picture(
                key=key,
                label=label,
                image=Image(taken),
                given=taken,
                parent_id=self.parent_id(picture, detection_id, execution),
                cut=Cut(
                    left=first,
                    top=upper,
                    size=size,
                    center=(x, y) if whole else (first + size[0] / 2, upper + size[1] / 2),
                    box_size=None if detection_id is None else box_size,
                    origin_size=root,
                    parent=picture.label,
                    detection_id=detection_id,
                ),
            )

    def parent_id(self, picture: Picture, detection_id: str | None, execution: Execution) -> str:
        """Return what detections in the crop are to name as their parent."""
        if detection_id is not None:
            return detection_id
        return f"$steps.{self.name}" if execution.generation == 1 else picture.parent_id


class DynamicCrop(CropStep):
    """One crop for each detection."""

    types = ("Crop",)

    predictions: OutputReference = Field(validation_alias=AliasChoices("predictions", "detections"))

    def references(self) -> Iterator[Reference]:
        """Add the detections, which have to be of the same pictures."""
        yield from super().references()
        yield Reference(
            place="predictions",
            text=self.predictions,
            kinds=kinds("detections"),
            about_pictures=True,
        )

    def boxes(
        self, picture: Picture, execution: Execution
    ) -> Iterator[tuple[float, float, float, float, str | None]]:
        """Yield the boxes of the picture's detections."""
        item = by_key(execution.items(self.predictions)).get(picture.key)
        if not isinstance(item, Item):
            reason = "there are no predictions" if item is None else item.message
            raise FrameError(f"it cannot be cropped: {reason}")
        entries: Any = item.values["predictions"]
        for row, entry in enumerate(entries):
            try:
                x, y, width, height = (_finite(entry[k]) for k in ("x", "y", "width", "height"))
                yield x, y, width, height, str(entry["detection_id"])
            except (KeyError, TypeError, ValueError) as exc:
                raise FrameError(
                    f"predictions[{row}] has no box ({type(exc).__name__}: {exc}): x, y, width "
                    "and height have to be numbers"
                ) from exc


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is no place")
    return number


class AbsoluteStaticCrop(CropStep):
    """One crop at a fixed place, in pixels."""

    types = ("AbsoluteStaticCrop",)

    x_center: OrInput[Annotated[float, Field(ge=0, multiple_of=1)]]
    y_center: OrInput[Annotated[float, Field(ge=0, multiple_of=1)]]
    width: OrInput[Annotated[float, Field(ge=1, multiple_of=1)]]
    height: OrInput[Annotated[float, Field(ge=1, multiple_of=1)]]

    def boxes(
        self, picture: Picture, execution: Execution
    ) -> Iterator[tuple[float, float, float, float, str | None]]:
        """Yield the place."""
        del picture, execution
        yield int(self.x_center), int(self.y_center), int(self.width), int(self.height), None


class RelativeStaticCrop(CropStep):
    """One crop at a fixed place, in shares of the picture's sides."""

    types = ("RelativeStaticCrop",)

    x_center: OrInput[Fraction]
    y_center: OrInput[Fraction]
    width: OrInput[Share]
    height: OrInput[Share]

    def boxes(
        self, picture: Picture, execution: Execution
    ) -> Iterator[tuple[float, float, float, float, str | None]]:
        """Yield the place in this picture, rounded to pixels."""
        del execution
        width, height = picture.image.size
        yield (
            round(width * self.x_center),
            round(height * self.y_center),
            round(width * self.width),
            round(height * self.height),
            None,
        )


CROP_STEPS: tuple[type[CropStep], ...] = (DynamicCrop, AbsoluteStaticCrop, RelativeStaticCrop)
