"""Leave one box per object: greedy non-maximum suppression, class by class."""

import numpy as np
import numpy.typing as npt

# Pictures full of noise give thousands of faint boxes; the authors of both families cut there too.
_MAX_CANDIDATES = 1000


def suppress(
    xyxy: npt.NDArray[np.float64],
    confidence: npt.NDArray[np.float64],
    class_id: npt.NDArray[np.int64],
    *,
    iou: float,
    max_detections: int,
) -> npt.NDArray[np.intp]:
    """Return the rows to keep, the most confident first; of equals the earlier row wins.

    Args:
        xyxy: ``(n, 4)`` float64.
        confidence: ``(n,)`` float64.
        class_id: ``(n,)`` int64; boxes of different classes never suppress each other.
        iou: A box goes if it overlaps a better one of its class by more than this.
        max_detections: How many rows to return at most.
    """
    order = np.argsort(-confidence, kind="stable")[:_MAX_CANDIDATES]
    area = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    kept: list[np.intp] = []
    while order.size and len(kept) < max_detections:
        first, order = order[0], order[1:]
        kept.append(first)
        low = np.maximum(xyxy[first, :2], xyxy[order, :2])
        high = np.minimum(xyxy[first, 2:], xyxy[order, 2:])
        common = np.prod(np.maximum(high - low, 0.0), axis=1)
        # Compared without dividing: a box without area has no ratio.
        overlaps = common > iou * (area[first] + area[order] - common)
        order = order[~(overlaps & (class_id[order] == class_id[first]))]
    return np.array(kept, dtype=np.intp)
