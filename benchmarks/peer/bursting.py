"""Hand frames over all at once to Roboflow's middleware with a queue and a thread.

Where the server is, the variable API_BASE_URL says.
"""

import json
import time
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.marking import marked_jpegs
from benchmarks.peer import Work
from benchmarks.peer.registering import middleware

_QUEUE = 512  # upstream's own choice


def prepare(  # noqa: PLR0913 - settings, passed by name
    *,
    frame: str,
    prediction: str,
    prediction_type: str,
    document: dict[str, Any],
    project: str,
    frames: int,
    first: int,
) -> Work:
    """Return the hand-over of frames, one after the other without a pause.

    Args:
        frame: File of the picture, an array, BGR (``.npy``).
        prediction: File of the prediction (JSON).
        prediction_type: Its task.
        document: The Active Learning document.
        project: Where the pictures go.
        frames: How many.
        first: Number that is written into the first picture; none is sent twice.

    Returns:
        Work whose outcome is ``{"taken": […], "wall_s": …}``: the seconds of each hand-over, and
        those until the queue was empty again.
    """
    import numpy as np

    picture, numbers = np.load(Path(frame)), count(first, frames + 1)
    text = Path(prediction).read_text(encoding="utf-8")

    def outcome() -> object:
        begin_with, *pictures = marked_jpegs(picture, next(numbers), frames + 1)
        answers = [json.loads(text) for _ in pictures]  # coordinates are scaled in place
        taken = []
        with middleware(document, project=project, queue_size=_QUEUE) as first_of_all:
            # What is loaded then is no part of a burst; leaving waits until it is delivered.
            first_of_all.register(begin_with, json.loads(text), prediction_type)
        middle = middleware(document, project=project, queue_size=_QUEUE)
        start = time.perf_counter()
        with middle:
            for jpeg, answer in zip(pictures, answers, strict=True):
                begun = time.perf_counter()
                middle.register(jpeg, answer, prediction_type)
                taken.append(time.perf_counter() - begun)
        return {"taken": taken, "wall_s": time.perf_counter() - start}

    return Work(call=outcome, outcome=outcome)
