"""Write run-length encoded masks as Roboflow's documents hold them.

Today's responses (inference 1.8.3) hold ``"rle": {"size": [h, w], "counts": "…"}`` beside
``"mask_format": "rle"``, with the counts as COCO's compressed string. That form is written for our
own masks; a mask that came with counts as a list keeps its list.

Source: COCO API (``common/maskApi.c``, ``rleToString``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from al_framework.api import ImageSize, RleMask
from al_framework_roboflow.rle import read_mask


def compress_counts(counts: Sequence[int]) -> str:
    """Return the string that `rle.decompress_counts` reads."""
    characters: list[str] = []
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        while True:
            digit = value & 0x1F
            value >>= 5
            more = value != (-1 if digit & 0x10 else 0)
            characters.append(chr((digit | 0x20 if more else digit) + 48))
            if not more:
                break
    return "".join(characters)


def mask_values(mask: RleMask) -> dict[str, Any]:
    """Return a mask of ours in today's form."""
    width, height = mask.size
    return {"size": [height, width], "counts": compress_counts(mask.counts)}


def resized_values(values: object, size: ImageSize) -> object:
    """Return a document's mask at another size, in the form it has; anything else as it is.

    Args:
        values: A COCO object, or whatever else the document holds in its place.
        size: ``(width, height)`` of the stored picture.
    """
    if not isinstance(values, Mapping):
        return values
    try:
        mask = read_mask(values)
    except (TypeError, ValueError):
        return values  # no mask that we could read, so none that we could resize
    if mask is None:
        return values
    counts = values["counts"]
    if mask.size == size:
        return {**values, "counts": counts.decode()} if isinstance(counts, bytes) else values
    resized = mask.resized(size)
    as_text = isinstance(counts, str | bytes)
    return {
        **values,
        "size": [size[1], size[0]],
        "counts": compress_counts(resized.counts) if as_text else list(resized.counts),
    }
