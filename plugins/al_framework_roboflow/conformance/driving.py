"""Drive the real thing through an `e2e` case: a collection, the sink, and a server on loopback.

The server answers as the case says, once for each picture; after that as Roboflow does when all is
well. Nothing that a case records is stored by the server, except where the reply says so.
"""

import functools
import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import PIL.Image
from typing_extensions import override

from al_framework.testing import FakeClock
from al_framework.testing.collection import SteppedCollection, stepped_collections
from al_framework_roboflow.server import (
    Batch,
    Failure,
    Job,
    Project,
    RunningServer,
    State,
    Workspace,
    running_server,
)
from al_framework_roboflow.server.exchange import Request
from al_framework_roboflow.server.requestlog import LoggedRequest, RequestLog

WORKSPACE: Final = "my_workspace"
PROJECT: Final = "coin-detection"
MODEL: Final = "coin-detection/3"
IMAGE, DATAPOINT = "<image>", "<id>"

Case: TypeAlias = Mapping[str, Any]
Call: TypeAlias = list[Any]


def drive(case: Case) -> list[list[Call]]:
    """Return the requests that each frame led to.

    Raises:
        ConfigurationError: The document does not pass our validation.
    """
    recorder = _Recorder()
    state = State(workspaces=_workspaces(case), requests=recorder)
    calls = []
    with _quiet(), running_server(state) as server:
        _script(server, "batches", case["server"].get("batches_reply"), times=None)
        clock = FakeClock()
        with _opener()(_configuration(case, server.url), clock=clock) as collection:
            for number, frame in enumerate(case["frames"]):
                collection.set_time(_moment(frame["t"]))
                _script(server, "upload", frame.get("upload"))
                _script(server, "annotate", frame.get("annotate"))
                if _names_a_picture(frame):
                    _script(server, "annotate", {"json": {"success": True}})
                collection.submit(
                    _picture(frame, number),
                    frame["prediction"],
                    prediction_type=case["prediction_type"],
                    model_id=MODEL,
                    inference_id=frame.get("inference_id"),
                )
                collection.deliver()
                calls.append(in_order(recorder.take()))
                state.failures.clear()
                _script(server, "batches", case["server"].get("batches_reply"), times=None)
    return calls


def in_order(calls: Sequence[Call]) -> list[Call]:
    """Return requests with the questions first: when they are asked is nobody's business."""
    questions = sorted(call for call in calls if call[0] == "GET")
    return [*questions, *(call for call in calls if call[0] != "GET")]


@functools.cache  # finding the plugins anew for each of a thousand cases takes a minute
def _opener() -> Callable[..., SteppedCollection]:
    return stepped_collections()


def _configuration(case: Case, url: str) -> dict[str, object]:
    sink = {
        "type": "roboflow",
        "api_key": "conformance",
        "workspace": WORKSPACE,
        "project": PROJECT,
        "api_url": url,
    }
    return {
        "name": "conformance",
        "active_learning": case["config"],
        "batch_time_zone": "UTC",
        "sinks": [sink],
        "seed": 0,
    }


def _workspaces(case: Case) -> list[Workspace]:
    config, server = case["config"], case["server"]
    project = Project(config.get("target_project") or PROJECT)
    project.batches += [
        Batch(id=one["id"], name=one["name"], images=one["images"], num_jobs=one["numJobs"])
        for one in server.get("batches", ())
    ]
    project.jobs += [
        Job(source_batch=one["sourceBatch"], num_images=one["numImages"])
        for one in server.get("jobs", ())
    ]
    return [Workspace(config.get("target_workspace") or WORKSPACE, [project])]


def _script(
    server: RunningServer, endpoint: str, reply: Mapping[str, Any] | None, *, times: int | None = 1
) -> None:
    """Have a recorded reply given."""
    if reply is None:
        return
    values: dict[str, Any] = {"endpoint": endpoint, "times": times}
    if "raise" in reply:  # to a client, no answer is no answer
        values["drop"] = True
    else:
        key = "text" if "text" in reply else "body"
        values |= {"status": reply.get("status", 200), key: reply.get("text", reply.get("json"))}
        body = reply.get("json") or {}
        # With a success the picture is there, whatever its id is, if it has one.
        stored = values["status"] == 200 and body.get("success") and not body.get("duplicate")
        values["after_storing"] = endpoint == "upload" and bool(stored)
    server.state.failures.add(Failure(**values))


def _names_a_picture(frame: Mapping[str, Any]) -> bool:
    """Tell whether a recorded reply names a picture, which the server does not hold."""
    body = (frame.get("upload") or {}).get("json") or {}
    return bool(body and body.get("id"))


def _picture(frame: Mapping[str, Any], number: int) -> npt.NDArray[np.uint8]:
    """Return a picture that is like no other of its case."""
    return np.full((frame["h"], frame["w"], 3), (number * 16) % 256, np.uint8)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class _Recorder(RequestLog):
    """Keeps each request in the form of the recordings."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[Call] = []
        self._name = ""

    def take(self) -> list[Call]:
        """Return the requests since the last time."""
        calls, self._calls = self._calls, []
        return calls

    @override
    def add(self, request: Request, *, endpoint: str, at: float) -> LoggedRequest:
        entry = super().add(request, endpoint=endpoint, at=at)
        query = [list(pair) for pair in entry.query[1:]]
        if endpoint == "upload":
            self._name = next(part.text or "" for part in entry.parts if part.name == "name")
            file = request.part("file")
            data = io.BytesIO(b"" if file is None else file.data)
            with PIL.Image.open(data, formats=("JPEG",)) as picture:
                size = [picture.height, picture.width]
            self._calls.append(["UPLOAD", entry.path, query, size])
        elif endpoint == "annotate":
            path = f"{entry.path.rpartition('/')[0]}/{IMAGE}"
            stem = self._name.removesuffix(".jpg")
            query = [[key, value.replace(stem, DATAPOINT)] for key, value in query]
            self._calls.append(["ANNOTATE", path, query, entry.annotation])
        else:
            self._calls.append([entry.method, entry.path])
        return entry


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the pipeline's warnings to itself: what goes wrong here goes wrong on purpose."""
    logger = logging.getLogger("al_framework")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
