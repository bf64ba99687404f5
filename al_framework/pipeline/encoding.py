"""Make the stored picture, and the prediction in its pixels, of a frame that is to be accepted.

The first place where pixels are read, and often not even here: a JPEG that needs no change passes
through (`pipeline.passthrough`).
"""

import hashlib
import io
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np

from al_framework.api import (
    Frame,
    FrameError,
    Image,
    ImageError,
    ImageSize,
    Prediction,
    _decoding,
    _formats,
    _jpeg,
)
from al_framework.pipeline.checking import check_placement
from al_framework.pipeline.geometry import rescale_prediction
from al_framework.pipeline.opencv import load_opencv
from al_framework.pipeline.passthrough import strip_jpeg
from al_framework.pipeline.scaling import scale_array, scale_picture

if TYPE_CHECKING:
    import PIL.Image


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingRules:
    """How pictures are stored.

    Attributes:
        max_image_size: Largest ``(height, width)``, in Roboflow's order; None for no limit.
        jpeg_quality: 0 to 100, for pictures that have to be encoded.
        verify: ``structure`` walks a JPEG's markers to its end; ``full`` decodes it too and refuses
            what a decoder gives up on. Neither finds a flipped bit among the pixels, which decodes
            to grey without a word. Pictures of other formats are decoded anyway.
    """

    max_image_size: tuple[int, int] | None
    jpeg_quality: int = 95
    verify: Literal["structure", "full"] = "structure"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedFrame:
    """A picture as it is stored and delivered.

    Attributes:
        image: JPEG bytes without metadata.
        digest: SHA-256 of `image`, to go on from.
        image_size: ``(width, height)`` of `image`.
        source_size: Upright ``(width, height)`` of the frame.
        prediction: The frame's prediction in pixels of `image`.
    """

    image: bytes
    digest: "hashlib._Hash"
    image_size: ImageSize
    source_size: ImageSize
    prediction: Prediction

    @property
    def content_key(self) -> str:
        """SHA-256 of `image`, hexadecimal."""
        return self.digest.hexdigest()


def encode_frame(frame: Frame, prediction: Prediction, rules: EncodingRules) -> EncodedFrame:
    """Scale a frame down where the rules ask for it, encode it, and move its prediction along.

    Neither the frame nor the prediction is changed.

    Raises:
        ImageError: The picture is truncated, corrupt, too large, or no picture at all.
        PredictionError: The prediction is not of this picture; see `check_placement`.
    """
    try:
        source_size = frame.image.size
        check_placement(prediction, source_size)
        image_size = scaled_size(*source_size, rules.max_image_size)
        image = _encode(frame.image, image_size, rules)
        rescaled = rescale_prediction(prediction, image_size)
    except FrameError as exc:
        exc.frame_id = exc.frame_id or frame.frame_id
        raise
    return EncodedFrame(
        image=image,
        digest=hashlib.sha256(image),
        image_size=image_size,
        source_size=source_size,
        prediction=rescaled,
    )


def scaled_size(width: int, height: int, max_image_size: tuple[int, int] | None) -> ImageSize:
    """Return the ``(width, height)`` at which a picture is stored; never an enlarged one.

    Args:
        width: Upright width in pixels.
        height: Upright height in pixels.
        max_image_size: Largest ``(height, width)``, or None.

    Source: Roboflow inference, core/utils/preprocess.py and image_utils.py, 2026-08: the side that
    binds is met exactly, the other one truncated. Deviation ``at-least-one-pixel``: where upstream
    truncates a side to nothing and loses the picture, one pixel remains.
    """
    if max_image_size is None:
        return width, height
    max_height, max_width = max_image_size
    if height <= max_height and width <= max_width:
        return width, height
    ratio = width / height
    if ratio >= max_width / max_height:
        return max_width, max(1, int(max_width / ratio))
    return max(1, int(max_height * ratio)), max_height


def _encode(image: Image, size: ImageSize, rules: EncodingRules) -> bytes:
    name = "the image" if image.path is None else f"the image {str(image.path)!r}"
    encoded = image.encoded
    if image.format == "JPEG" and encoded is not None:
        try:
            stripped = strip_jpeg(encoded)
        except _jpeg.MalformedJpegError as exc:
            raise ImageError(
                f"{name} is truncated: after {len(encoded)} bytes {exc}, so wait until the file "
                "is complete"
            ) from exc
        if stripped is not None and size == image.size and image.orientation == 1:
            if rules.verify == "full" and not image.decoded:
                with _decoding.decoding(name):
                    _decoding.open_picture(encoded, "JPEG").load()
            return stripped
    with _decoding.decoding(name):
        if encoded is None or image.decoded:
            return _from_array(image, size, rules.jpeg_quality)
        return _to_jpeg(_decoded(image, encoded, size), rules.jpeg_quality)


def _from_array(image: Image, size: ImageSize, quality: int) -> bytes:
    order: Literal["BGR", "RGB"] = "BGR"
    pixels = image.pixels("bgr")
    if not pixels.flags.c_contiguous and image.pixels("rgb").flags.c_contiguous:
        order, pixels = "RGB", image.pixels("rgb")  # an RGB array seen backwards
    opencv = load_opencv()
    if opencv is not None:
        encoded = opencv.encode(np.ascontiguousarray(pixels), order, size, quality)
        if encoded is not None:
            return encoded
    return _to_jpeg(scale_array(pixels, order, size), quality)


def _decoded(image: Image, encoded: bytes, size: ImageSize) -> "PIL.Image.Image":
    # Resized before it is turned: fewer pixels to turn.
    stored = _formats.upright(size, image.orientation)
    picture = _decoding.open_picture(encoded, image.format or "")
    # A JPEG decodes at 1/2, 1/4 or 1/8 for less than half the price; `draft` chooses the smallest
    # that is still at least as large as asked for. The box is what the pixels really cover.
    drafted = picture.draft("RGB", stored)
    box = None if drafted is None else drafted[1]
    picture.load()  # before its `info` is looked at: a PNG may keep text behind its pixels
    scaled = scale_picture(_decoding.to_rgb(picture), stored, box)
    return _decoding.turn(scaled, image.orientation)


def _to_jpeg(picture: "PIL.Image.Image", quality: int) -> bytes:
    # Without `info`, or Pillow would write back the profile and comment that it found.
    picture.info = {}
    try:
        with _open_file() as file:
            return _saved(picture, file, quality)
    except OSError:  # the limit to the size of files holds for that one, too
        return _saved(picture, io.BytesIO(), quality)


def _saved(picture: "PIL.Image.Image", file: BinaryIO, quality: int) -> bytes:
    picture.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    file.seek(0)
    return file.read()


def _open_file() -> BinaryIO:
    """Return a file in memory.

    One that the system knows, if it can be had: Pillow lets other threads run while it encodes
    into such a file, and keeps them waiting, 16 ms for 4K, while it encodes into a `BytesIO`.
    """
    if sys.platform == "linux":
        try:
            return os.fdopen(os.memfd_create("al_framework"), "w+b")
        except OSError:  # forbidden in some sandboxes, or no descriptor left
            pass
    return io.BytesIO()
