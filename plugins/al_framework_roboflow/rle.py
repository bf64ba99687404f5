"""Read COCO's run-length encoded masks, compressed or not.

The masks in Roboflow's documents come in both forms; only these few lines of pycocotools are
needed for them.

Source: COCO API (``common/maskApi.c``, ``rleFrString``).
"""

from collections.abc import Mapping, Sequence

from al_framework.api import RleMask


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
        ValueError: It has the form, but its runs do not fill its size.
    """
    if not isinstance(value, Mapping):
        return None
    size, counts = value.get("size"), value.get("counts")
    if not isinstance(size, Sequence) or isinstance(size, str | bytes) or len(size) != 2:
        return None
    if isinstance(counts, bytes):
        counts = counts.decode("latin-1")
    if isinstance(counts, str):
        runs = decompress_counts(counts)
    elif isinstance(counts, Sequence):
        runs = [int(count) for count in counts]
    else:
        return None
    height, width = (int(side) for side in size)
    if sum(runs) != width * height or min(runs, default=0) < 0:
        raise ValueError(f"the runs of a mask add up to {sum(runs)}, not to {width}x{height}")
    return RleMask(size=(width, height), counts=tuple(runs))
