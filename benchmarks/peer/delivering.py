"""Deliver frames to a server that speaks Roboflow's API, with Roboflow's middlewares.

Where the server is, the variable API_BASE_URL says.
"""

import copy
import json
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.marking import mark
from benchmarks.peer import Work
from benchmarks.peer.registering import middleware


def prepare(  # noqa: PLR0913 - settings, passed by name
    *,
    frame: str,
    prediction: str,
    prediction_type: str,
    document: dict[str, Any],
    project: str,
    first: int,
) -> Work:
    """Return the delivery of one frame after the other, as soon as the one before is there.

    Args:
        frame: File of the picture, an array, BGR (``.npy``).
        prediction: File of the prediction (JSON).
        prediction_type: Its task.
        document: The Active Learning document.
        project: Where the pictures go.
        first: Number that is written into the first picture; none is sent twice.
    """
    import numpy as np

    picture, numbers = np.load(Path(frame)), count(first)
    answer = json.loads(Path(prediction).read_text(encoding="utf-8"))
    register = middleware(document, project=project).register

    def call() -> None:
        mark(picture, next(numbers))
        # A copy, since coordinates are scaled in place, and smaller ones again the next time.
        register(picture, copy.deepcopy(answer), prediction_type)

    return Work(call=call)
