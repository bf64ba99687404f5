"""Trace a binary mask as polygons along the edges of its pixels, exactly.

Not OpenCV's `findContours`: that one walks through pixel centres and loses half a pixel all round.
"""

import numpy as np
import numpy.typing as npt

from al_framework.api import RleMask

_Floats = npt.NDArray[np.float64]
_Point = tuple[int, int]


def mask_rings(mask: npt.NDArray[np.bool_]) -> list[_Floats]:
    """Return the rings ``(k, 2)`` of a boolean array ``(h, w)``, in pixels of the array.

    Outer rings run clockwise on the screen and holes the other way round, so both the even-odd
    and the non-zero rule fill them right. Parts that touch at a corner are separate rings.
    """
    steps = _steps(mask)
    rings = []
    while steps:
        start = next(iter(steps))
        rings.append(_follow(steps, start))
    return rings


def rle_rings(mask: RleMask, *, max_side: int | None = None) -> list[_Floats]:
    """Return the rings of a run-length encoded mask, in pixels of the mask.

    Args:
        mask: The mask.
        max_side: Look at every n-th pixel only, so that no side is longer than this.

    Raises:
        ValueError: The runs do not add up to the size.
    """
    pixels = mask.to_array()
    stride = 1 if max_side is None else max(1, -(-max(mask.size) // max_side))
    rings = mask_rings(pixels[::stride, ::stride])
    limit = np.array(mask.size, dtype=np.float64)
    return [np.minimum(ring * stride, limit) for ring in rings]


def joined(rings: list[_Floats]) -> _Floats:
    """Return one ring ``(k, 2)`` that covers what all the rings cover.

    Each further ring is reached over a bridge that is walked there and back, so that it covers no
    area. For formats that know one polygon per object.
    """
    anchor = rings[0][:1]
    parts = [rings[0]]
    for ring in rings[1:]:
        parts += [anchor, ring, ring[:1]]
    if len(rings) > 1:
        parts.append(anchor)
    return np.concatenate(parts)


def _steps(mask: npt.NDArray[np.bool_]) -> dict[_Point, list[_Point]]:
    # Each border pixel gives unit steps with the mask on their right-hand side.
    padded = np.pad(np.asarray(mask, dtype=np.bool_), 1)
    inside = padded[1:-1, 1:-1]
    steps: dict[_Point, list[_Point]] = {}
    sides = (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),  # nothing above: left to right along the top
        (padded[1:-1, 2:], (1, 0), (1, 1)),
        (padded[2:, 1:-1], (1, 1), (0, 1)),
        (padded[1:-1, :-2], (0, 1), (0, 0)),
    )
    for neighbour, (from_x, from_y), (to_x, to_y) in sides:
        rows, columns = np.nonzero(inside & ~neighbour)
        for y, x in zip(rows.tolist(), columns.tolist(), strict=True):
            steps.setdefault((x + from_x, y + from_y), []).append((x + to_x, y + to_y))
    return steps


def _follow(steps: dict[_Point, list[_Point]], start: _Point) -> _Floats:
    # Steps along upper edges come first in the dictionary, row by row from the left: the ring is
    # entered where such an edge begins, at a corner.
    corners: list[_Point] = []
    here, heading = start, (0, 0)
    while not corners or here != start:
        there = _turn_right(here, heading, steps[here])
        steps[here].remove(there)
        if not steps[here]:
            del steps[here]
        step = (there[0] - here[0], there[1] - here[1])
        if step != heading:
            corners.append(here)
        here, heading = there, step
    return np.array(corners, dtype=np.float64)


def _turn_right(here: _Point, heading: _Point, choices: list[_Point]) -> _Point:
    # Two choices where two pixels touch at a corner: staying right keeps to one of them.
    right = (here[0] - heading[1], here[1] + heading[0])
    return right if right in choices else choices[0]
