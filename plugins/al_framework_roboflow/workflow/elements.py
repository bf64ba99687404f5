"""What travels between the steps: pictures, documents about them, and what went wrong."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from al_framework.api import Crop, Frame, Image

Key: TypeAlias = tuple[str | int, ...]
ElementT = TypeVar("ElementT", bound="Picture | Item | Failure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where a picture was cut out of the one before it.

    Attributes:
        left: First column taken, in pixels of the parent.
        top: First row taken.
        size: ``(width, height)`` in pixels.
        center: Centre of the box asked for.
        box_size: Width and height of the box asked for; None for a static crop.
        origin_size: ``(width, height)`` of the picture at the root, also for a crop of a crop.
        parent: Label of the picture it was cut from.
        detection_id: The detection it was cut around, or None.
    """

    left: int
    top: int
    size: tuple[int, int]
    center: tuple[float, float]
    box_size: tuple[float, float] | None
    origin_size: tuple[int, int]
    parent: str
    detection_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """One picture on its way through a workflow.

    Attributes:
        key: Tells pictures of one run apart; documents about a picture carry the same.
        label: The same for people: ``$inputs.image[0]``.
        image: Its pixels.
        given: What the caller gave; for a crop its pixels.
        parent_id: What detections found in it get as their ``parent_id``.
        cut: Where it was cut out, or None for an input.
    """

    key: Key
    label: str
    image: Image
    given: object
    parent_id: str
    cut: Cut | None = None

    def frame(self) -> Frame:
        """Return the picture as predictors want it.

        Raises:
            ImageError: It cannot be read.
        """
        cut = self.cut
        parent = None
        if cut is not None:
            width, height = cut.size
            parent = Crop(
                frame_id=cut.parent,
                detection_id=cut.detection_id,
                left=cut.left,
                top=cut.top,
                width=width,
                height=height,
            )
        return Frame(frame_id=self.label, image=self.image, parent=parent)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Item:
    """What a step says about one picture.

    Attributes:
        key: The picture's.
        label: The picture's.
        values: The step's outputs by name; never written to once it is made.
    """

    key: Key
    label: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One picture, or what was to be said about it, that could not be had.

    It takes the place of the element in every later step, so that neighbours are not disturbed.

    Attributes:
        key: The picture's.
        label: The picture's.
        message: Which step failed and why.
    """

    key: Key
    label: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutput:
    """What a step leaves behind.

    Attributes:
        items: One for each picture, in their order.
        pictures: The crops of a crop step, else empty.
        makes_pictures: Whether it is a crop step, also where it made none.
    """

    items: tuple[Item | Failure, ...] = ()
    pictures: tuple[Picture | Failure, ...] = ()
    makes_pictures: bool = False


def by_key(elements: Iterable[ElementT]) -> dict[Key, ElementT]:
    """Return the elements by their pictures."""
    return {element.key: element for element in elements}
