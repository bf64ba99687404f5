"""Read COCO's run-length encoded masks, compressed or not.

The masks in Roboflow's documents come in both forms; only these few lines of pycocotools are
needed for them.

Source: COCO API (``common/maskApi.c``, ``rleFrString``).
"""

from collections.abc import Mapping, Sequence

from al_framework.api import RleMask

MASK_KEYS = ("rle", "rle_mask", "mask")
"""Where the entries of documents hold a mask."""

_MAX_PIXELS = 2**28


def decompress_counts(text: str) -> list[int]:
    """Return the run lengths that a compressed string stands for.

    Every number is written in digits of five bits, the lowest first, with a sixth bit for «more»;
    from the fourth on, a number is the difference to the one before the last.

    Raises:
        ValueError: A character is none of COCO's 64, or the string ends inside a number.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64 or shift > 60:
            raise ValueError(f"{character!r} is no character of a compressed mask")
        value |= (digit & 0x1F) << shift
        shift += 5
        if digit & 0x20:
            continue
        if digit & 0x10:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("a compressed mask ends inside a number")
    return counts


def read_mask(value: object) -> RleMask | None:
    """Return the mask of a COCO object ``{"size": [h, w], "counts": …}``.

    Returns:
        None if the value does not have that form.

    Raises:
        ValueError: It has the form, but its runs do not fill its size, or it is larger than any
            picture: whoever decodes it needs a byte for each pixel.
    """
    if not isinstance(value, Mapping):
        return None
    size, counts = value.get("size"), value.get("counts")
    if not isinstance(size, Sequence) or isinstance(size, str | bytes) or len(size) != 2:
        return None
    if isinstance(counts, bytes):
        counts = counts.decode("latin-1")
    if not isinstance(counts, Sequence):
        return None
    try:
        height, width = (int(side) for side in size)
        runs = decompress_counts(counts) if isinstance(counts, str) else [int(c) for c in counts]
    except OverflowError:
        raise ValueError("a size or run of a mask is not finite") from None
    if height * width > _MAX_PIXELS:
        raise ValueError(f"a mask of {width}x{height} pixels is larger than any picture")
    if sum(runs) != width * height or min(runs, default=0) < 0:
        raise ValueError(f"the runs of a mask add up to {sum(runs)}, not to {width}x{height}")
    return RleMask(size=(width, height), counts=tuple(runs))
