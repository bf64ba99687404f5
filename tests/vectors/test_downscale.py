"""Down-scaling against the public vectors, deviations decided from the input alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al_framework.api import Image, ImageError
from al_framework.pipeline.encoding import scaled_size

_VECTORS = Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "downscale.jsonl"

pytestmark = pytest.mark.skipif(not _VECTORS.exists(), reason="the shared vectors are not here")


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in _VECTORS.read_text().splitlines()]


def is_size(limit: object) -> bool:
    """The configuration lets only this through: nothing, or two positive whole numbers."""
    if limit is None:
        return True
    return isinstance(limit, list) and all(type(side) is int and side > 0 for side in limit)


def truncates_to_nothing(height: int, width: int, limit: list[int] | None) -> bool:
    """The deviation `at-least-one-pixel`, in whole numbers."""
    if limit is None or (height <= limit[0] and width <= limit[1]):
        return False
    return limit[1] * height < width or limit[0] * width < height


def test_sizes_and_factors_are_those_of_the_vectors() -> None:
    same = deviating = refused = forbidden = 0
    for row in rows():
        height, width, limit = (row["input"][key] for key in ("h", "w", "max_image_size"))
        expected = row["expected"]
        if not is_size(limit):
            forbidden += 1
        elif height == 0 or width == 0:
            with pytest.raises(ImageError, match="it is empty"):
                _ = Image(np.zeros((height, width, 3), np.uint8)).size
            refused += 1
        else:
            new_width, new_height = scaled_size(width, height, limit and tuple(limit))
            if truncates_to_nothing(height, width, limit):
                assert expected == {"error": "cv2.error"}, row["id"]
                assert min(new_width, new_height) == 1, row["id"]
                deviating += 1
            else:
                assert expected == {
                    "h": new_height,
                    "w": new_width,
                    "scaling_factor": new_height / height,
                    "scale_x": new_width / width,
                    "scale_y": new_height / height,
                }, row["id"]
                same += 1

    assert (same, deviating, refused, forbidden) == (923, 22, 3, 8)
    assert same + deviating + refused + forbidden == len(rows())
