"""Register a frame with Roboflow's Active Learning middleware, whose requests are answered at once.

Upstream scales the caller's prediction in place when it scales a picture down, so there each
registration gets a copy of its own: two microseconds of the peer's milliseconds.
"""

import functools
import importlib
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

from benchmarks.peer import Work

API_KEY = "benchmark"  # not a key: nobody is asked
MODEL_ID = "benchmark/1"
ROUND = 32  # predictions that are gone round, as ours are
_NUMBERS = itertools.count(1)


def prepare(  # noqa: PLR0913, PLR0917 - settings, passed by name
    frame: str,
    prediction: str,
    prediction_type: str,
    document: dict[str, Any],
    stored: str = "",
    before: int = 0,
) -> Work:
    """Return the registration of one frame, again and again.

    Args:
        frame: File of the picture: an encoded one, or an array, BGR (``.npy``).
        prediction: File of the prediction (JSON).
        prediction_type: Its task.
        document: The Active Learning document.
        stored: Where `outcome` writes the picture that is uploaded; empty for nowhere.
        before: Registrations made at once, to spend a limit.

    Returns:
        Work whose outcome is ``{"uploads": …, "bytes": …}``, of one registration.
    """
    import numpy as np

    path, requests = Path(frame), _Requests()
    picture = np.load(path) if path.suffix == ".npy" else path.read_bytes()
    text = Path(prediction).read_text(encoding="utf-8")
    answer = json.loads(text)
    coming = itertools.cycle([json.loads(text) for _ in range(ROUND)])
    register = middleware(document).register

    is_scaled = "max_image_size" in document

    def call() -> None:
        one = next(coming)
        register(picture, _copied(one) if is_scaled else one, prediction_type)

    def outcome() -> object:
        with requests.kept() as found:
            register(picture, _copied(answer), prediction_type)
        if stored and found:
            Path(stored).write_bytes(found[-1])
        return {"uploads": len(found), "bytes": sum(map(len, found))}

    for _ in range(before):
        register(picture, _copied(answer), prediction_type)
    return Work(call=call, outcome=outcome)


def middleware(
    document: dict[str, Any], *, project: str | None = None, queue_size: int | None = None
) -> Any:
    """Return the middleware as the server makes it, but for asking who the project belongs to.

    Args:
        document: The Active Learning document.
        project: Where pictures go; None for one of its own, since each has limits of its own.
        queue_size: How many frames its queue takes; None for the one without a queue.
    """
    package = "inference.core.active_learning"
    configuration: Any = importlib.import_module(f"{package}.configuration")
    entities: Any = importlib.import_module(f"{package}.entities")
    middlewares: Any = importlib.import_module(f"{package}.middlewares")
    metadata = entities.RoboflowProjectMetadata(
        dataset_id=project or f"benchmark-{next(_NUMBERS)}",
        workspace_id="benchmark",
        dataset_type="object-detection",
        active_learning_configuration=document,
    )
    common: dict[str, Any] = {
        "api_key": API_KEY,
        "configuration": configuration.initialise_active_learning_configuration(
            project_metadata=metadata, model_id=MODEL_ID
        ),
        "cache": _cache(),
    }
    if queue_size is None:
        return middlewares.ActiveLearningMiddleware(**common)
    waiting: Queue[Any] = Queue(queue_size)
    return middlewares.ThreadingActiveLearningMiddleware(**common, task_queue=waiting)


def _copied(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "predictions": [dict(entry) for entry in answer["predictions"]]}


@functools.cache
def _cache() -> Any:
    """Return the server's cache: one for all, since each has a thread that never rests."""
    memory: Any = importlib.import_module("inference.core.cache.memory")
    return memory.MemoryCache()


class _Requests:
    """Stands where upstream makes its requests, and answers that all went well."""

    def __init__(self) -> None:
        self._roboflow_api: Any = importlib.import_module("inference.core.roboflow_api")
        self._pictures: list[bytes] | None = None
        self._response = self._roboflow_api.Response()
        self._response.status_code = 200
        self._response._content = b'{"success": true, "id": "benchmark"}'  # noqa: SLF001 - as its tests do
        self._roboflow_api.requests.post = self._post

    @contextmanager
    def kept(self) -> Iterator[list[bytes]]:
        """Yield the pictures that are uploaded meanwhile."""
        self._roboflow_api.requests.post = self._post  # another work's stands there by now
        found: list[bytes] = []
        self._pictures = found
        try:
            yield found
        finally:
            self._pictures = None

    def _post(self, _: str, *, data: Any = None, **others: object) -> Any:
        del others
        if self._pictures is not None and hasattr(data, "fields"):
            self._pictures.append(data.fields["file"][1])
        return self._response
