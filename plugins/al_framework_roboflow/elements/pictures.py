"""The images of workflows: arrays, files, bytes, and the dictionaries that engines pass around."""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from al_framework.api import Crop, Image, ImageError, ImageInput
from al_framework_roboflow.entries import shown

_DATA_URL = re.compile(r"^data:image/[a-z+.-]+;base64,", re.IGNORECASE)
_BLANKS = re.compile(rb"\s+")
_KINDS = ("numpy_object", "base64", "file", "bytes", "pil")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """An image and where it was cut out.

    Attributes:
        value: Encoded bytes, a path, a PIL image or a BGR array.
        parent: Where it was cut out, or None.
        attributes: ``origin_image_size`` of a crop, such as ``200x100``: the size of the picture
            that the first one was cut out of.
    """

    value: ImageInput = field(repr=False)
    parent: Crop | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    def of(self, data: bytes) -> "Picture":
        """Return the same with other bytes for its image."""
        return replace(self, value=data)


def read_picture(given: object) -> Picture:
    """Return the image that a workflow passes, without decoding it.

    Args:
        given: An array (BGR), PIL image, encoded bytes or path; or a dictionary with ``type`` and
            ``value`` as Roboflow Inference passes them, whose ``parent_id`` and
            ``origin_coordinates`` say where a crop comes from.

    Raises:
        ImageError: It is none of these. Addresses are never fetched: the step waits for no network.
    """
    if not isinstance(given, Mapping):
        value = _plain(given)
        return Picture(value=value)
    value = _value(given)
    origin = given.get("origin_coordinates")
    if origin is None:
        return Picture(value=value)
    if not isinstance(origin, Mapping):
        raise ImageError(
            f"'origin_coordinates' of the image is {shown(origin)}: it has to be a mapping"
        )
    return Picture(
        value=value,
        parent=_parent(given.get("parent_id"), origin, value),
        attributes=_origin_size(origin),
    )


def _plain(given: object) -> ImageInput:
    if isinstance(given, str) and given.startswith(("http://", "https://")):
        raise _address(given)
    if given is None:
        raise ImageError("the image is missing: a step before this one gave none")
    if not isinstance(given, str | os.PathLike | bytes | bytearray | memoryview | np.ndarray):
        Image(given)  # type: ignore[arg-type]  # raises unless it is a PIL image
    return given  # type: ignore[return-value]  # one of the types just asked for


def _value(given: Mapping[str, Any]) -> ImageInput:
    if "value" not in given:
        raise ImageError("the image is a mapping without 'value': pass its 'type' and its 'value'")
    kind, value = given.get("type"), given["value"]
    if kind == "base64":
        return _from_base64(value)
    if kind == "url":
        raise _address(value)
    if kind == "numpy_object":
        return _of_type(value, np.ndarray, kind, "a uint8 array, BGR")
    if kind == "file":
        return _of_type(value, (str, os.PathLike), kind, "a path")
    if kind == "bytes":
        return _of_type(value, (bytes, bytearray, memoryview), kind, "encoded bytes")
    if kind == "pil":
        return _plain(value)
    known = ", ".join(repr(one) for one in _KINDS)
    raise ImageError(f"an image of type {shown(kind)} is not read here: pass one of {known}")


def _of_type(value: Any, types: Any, kind: str, wanted: str) -> ImageInput:
    if not isinstance(value, types):
        raise ImageError(
            f"the value of an image of type {kind!r} is of type {type(value).__name__!r}: "
            f"pass {wanted}"
        )
    if isinstance(value, str):
        return _plain(value)
    result: ImageInput = value
    return result


def _address(address: object) -> ImageError:
    # Only the beginning is shown: what follows a question mark is often a signature.
    shown = str(address).partition("?")[0][:80]
    return ImageError(
        f"the image is the address {shown!r}, and this step fetches nothing: pass the picture "
        "itself, as type 'numpy_object' or 'base64'"
    )


def _from_base64(value: object) -> bytes:
    if isinstance(value, str):
        try:
            value = _DATA_URL.sub("", value[:64]).encode() + value[64:].encode("ascii")
        except UnicodeEncodeError as exc:
            raise ImageError(
                "the image of type 'base64' holds no base64: letters beyond ASCII"
            ) from exc
    if not isinstance(value, bytes | bytearray):
        raise ImageError(
            f"the value of an image of type 'base64' is of type {type(value).__name__!r}: pass text"
        )
    try:
        return base64.b64decode(_BLANKS.sub(b"", value), validate=True)
    except binascii.Error as exc:
        raise ImageError(f"the image of type 'base64' holds no base64: {exc}") from exc


def _parent(parent_id: object, origin: Mapping[str, Any], value: ImageInput) -> Crop:
    """Return where a crop comes from, in either generation's words.

    The first gives the centre of the crop and the second its corner. Only crops around a detection
    state a size, and they are called after their detection; others after the image they were cut
    from. The size is that of the picture: a box that reaches over the edge was cut shorter.
    """
    width, height = Image(value).size
    around_detection = "width" in origin
    name = "" if parent_id is None else str(parent_id)
    if "left_top_x" in origin:
        left, top = (_number(origin, key) for key in ("left_top_x", "left_top_y"))
    else:
        sides = {"width": width, "height": height}
        left, top = (
            _number(origin, key) - (_number(origin, side) if side in origin else sides[side]) / 2
            for key, side in (("center_x", "width"), ("center_y", "height"))
        )
    return Crop(
        frame_id=name,
        detection_id=(name or None) if around_detection else None,
        left=round(left),
        top=round(top),
        width=width,
        height=height,
    )


def _origin_size(origin: Mapping[str, Any]) -> dict[str, str]:
    size = origin.get("origin_image_size")
    sides = [size.get(key) for key in ("width", "height")] if isinstance(size, Mapping) else []
    if not sides or not all(isinstance(side, int) for side in sides):
        return {}
    return {"origin_image_size": "x".join(map(str, sides))}


def _number(origin: Mapping[str, Any], key: str) -> float:
    value = origin.get(key)
    try:
        if isinstance(value, bool | str):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]  # a value of another type raises
        round(number)  # no infinities
    except (TypeError, ValueError, OverflowError):
        raise ImageError(
            f"'origin_coordinates' of the image gives {shown(value)} for {key!r}: it has to be a "
            "number of pixels"
        ) from None
    return number
