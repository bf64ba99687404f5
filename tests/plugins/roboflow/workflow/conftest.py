"""Documents of both generations, a collector that listens, and the command with its servers."""

import base64
import copy
import http.server
import io
import itertools
import json
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from al_framework.api import Image
from al_framework.testing import sample_jpeg
from al_framework_roboflow import step as step_module
from al_framework_roboflow.server import Project, State, Workspace, running_server
from al_framework_roboflow.step import StepResult
from al_framework_roboflow.workflow import WorkflowFaultsError, read_workflow, run_workflow
from al_framework_roboflow.workflow.command import workflow

CONFIGURATION = {
    "enabled": True,
    "persist_predictions": True,
    "sampling_strategies": [{"name": "all", "type": "random", "traffic_percentage": 1.0}],
    "batching_strategy": {"batches_name_prefix": "pfx", "recreation_interval": "never"},
}
IMAGE_INPUT = {"type": "InferenceImage", "name": "image"}


def collector(predictions, *, image="$inputs.image", name="collect", **more):
    return {
        "type": "ActiveLearningDataCollector",
        "name": name,
        "image": image,
        "predictions": predictions,
        "target_dataset": "ds",
        "active_learning_configuration": CONFIGURATION,
        **more,
    }


def model(kind="ObjectDetectionModel", *, name="m", image="$inputs.image", **more):
    return {"type": kind, "name": name, "image": image, "model_id": "some/1", **more}


def output(selector, *, name="p", **more):
    return {"type": "JsonField", "name": name, "selector": selector, **more}


def document(steps, *, selector=None, inputs=(), generation=1, own=True):
    """Return a document; steps of generation 2 get what that one wants besides."""
    steps = copy.deepcopy(list(steps))
    outputs = []
    if selector is not None:
        system = {"coordinates_system": "own"} if own else {}
        outputs.append(output(selector, **system))
    content = {
        "version": "1.0",
        "inputs": [IMAGE_INPUT, *inputs],
        "steps": steps,
        "outputs": outputs,
    }
    if generation == 1:
        return {"specification": content}
    for one in steps:
        _modernise(one)
    return content


def _modernise(one):
    sources = one.get("predictions")
    if isinstance(sources, list):
        one["image_metadata"] = f"{sources[0].rpartition('.')[0]}.image"
    elif sources is not None and one["type"] != "Crop":
        source = sources.rpartition(".")[0]
        one.setdefault("prediction_type", f"{source}.prediction_type")
        if one["type"] != "ActiveLearningDataCollector":
            one["image_metadata"] = f"{source}.image"


def boxes(width, height):
    """Return what the recorded model saw in a picture of that size."""
    return [
        {
            "x": width / 2,
            "y": height / 2,
            "width": width / 2,
            "height": height / 2,
            "confidence": 0.9,
            "class": "cat",
            "class_id": 0,
        },
        {
            "x": width / 4,
            "y": height / 4,
            "width": width / 4,
            "height": height / 4,
            "confidence": 0.4,
            "class": "dog",
            "class_id": 1,
        },
    ]


class Detector:
    """Answers with the same document about every picture, scaled to its size."""

    def __init__(self, make=None):
        self.frames = []
        self._make = make or (lambda w, h: {"time": 0.01, "predictions": boxes(w, h)})

    def predict(self, frame):
        self.frames.append(frame)
        width, height = frame.image.size
        return {"image": {"width": width, "height": height}, **self._make(width, height)}


def classified(width, height):
    del width, height
    return {
        "predictions": [
            {"class": "cat", "class_id": 0, "confidence": 0.8},
            {"class": "dog", "class_id": 1, "confidence": 0.2},
        ],
        "top": "cat",
        "confidence": 0.8,
    }


@dataclass
class Heard:
    """What reached the collector steps."""

    calls: list = field(default_factory=list)
    answers: list = field(default_factory=list)


@pytest.fixture
def heard(monkeypatch):
    """Put a collector in place of the real one that notes what it is given."""
    heard = Heard()

    def run(self, **arguments):
        heard.calls.append({"step": self._name, **arguments})
        if heard.answers:
            answer = heard.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return [
            StepResult(status="queued", error_status=False, message="chosen", frame_id=f"f-{index}")
            for index, _ in enumerate(arguments["image"])
        ]

    monkeypatch.setattr(step_module.ActiveLearningDataCollector, "run", run)
    return heard


@pytest.fixture
def run(heard):
    """Run a document over a picture of 200x100, with the recorded model."""
    del heard
    numbers = itertools.count(1)

    def run(content, *, images=None, predictors=None, **more):
        given = np.zeros((100, 200, 3), np.uint8) if images is None else images
        return run_workflow(
            content,
            images=given,
            predictors={"*": Detector()} if predictors is None else predictors,
            pool=None,
            new_id=lambda: f"id-{next(numbers)}",
            **more,
        )

    return run


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def shape_of(value):
    """Return a value as the recordings write it: arrays by their shape."""
    if isinstance(value, Image):
        value = value.pixels()
    if isinstance(value, np.ndarray):
        return f"<ndarray {value.shape} {value.dtype}>"
    if isinstance(value, dict):
        return {key: shape_of(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [shape_of(one) for one in value]
    return value


def difference(expected, actual, ids=None, place=""):
    """Return where two values differ, names of detections aside; None if nowhere."""
    ids = {} if ids is None else ids
    if isinstance(expected, str) and _UUID.fullmatch(expected):
        return None if ids.setdefault(expected, actual) == actual else f"{place}: another id"
    if isinstance(expected, dict) and isinstance(actual, dict):
        if set(expected) != set(actual):
            return f"{place}: keys {sorted(set(expected) ^ set(actual))}"
        pairs = [(key, expected[key], actual[key]) for key in sorted(expected)]
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return f"{place}: {len(expected)} and {len(actual)}"
        pairs = list(zip(itertools.count(), expected, actual, strict=False))
    else:
        return None if expected == actual else f"{place}: {expected!r} and {actual!r}"
    found = (difference(e, a, ids, f"{place}.{key}") for key, e, a in pairs)
    return next((one for one in found if one is not None), None)


CROP = {
    "type": "Crop",
    "name": "crop",
    "image": "$inputs.image",
    "predictions": "$steps.m.predictions",
}


def parameter(name, **more):
    return {"type": "InferenceParameter", "name": name, **more}


def plain(**more):
    """A model and a collector of what it says."""
    return document(
        [model(), collector("$steps.m.predictions", **more)],
        selector="$steps.m.predictions",
        generation=2,
    )


def on_crops(*, generation=2, kind="ObjectDetectionModel", field="predictions", **system):
    """A second model on the crops of the first one, and a collector of what it says."""
    second = model(kind, name="c", image="$steps.crop.crops", model_id="second/1")
    return document(
        [model(), CROP, second, collector(f"$steps.c.{field}", image="$steps.crop.crops")],
        selector=f"$steps.c.{field}",
        generation=generation,
        **system,
    )


@pytest.fixture(name="document")
def bare_document():
    """A model and a collector of what it says, without the wrapping of generation 1."""
    wrapped = json.loads(Path(__file__).with_name("generation_1.json").read_text())
    return wrapped["specification"]


@pytest.fixture
def faults():
    """Return a function that tells the faults of a document, by place and message."""

    def faults(document):
        with pytest.raises(WorkflowFaultsError) as caught:
            read_workflow(document, origin="doc.json")
        return [(fault.path, fault.message) for fault in caught.value.faults]

    return faults


@pytest.fixture
def flow():
    """Give the functions above to tests, which cannot import them."""
    return SimpleNamespace(
        CONFIGURATION=CONFIGURATION,
        CROP=CROP,
        Detector=Detector,
        boxes=boxes,
        classified=classified,
        collector=collector,
        difference=difference,
        document=document,
        model=model,
        on_crops=on_crops,
        output=output,
        parameter=parameter,
        plain=plain,
        shape_of=shape_of,
    )


@pytest.fixture
def inference():
    """An Inference server that sees one cat in every picture; its URL."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, body))
            data = base64.b64decode(body["image"]["value"])
            with PIL.Image.open(io.BytesIO(data)) as picture:
                width, height = picture.size
            box = {"x": width / 2, "y": height / 2, "width": width / 2, "height": height / 2}
            entry = {**box, "confidence": 0.5, "class": "cat", "class_id": 0}
            entries = [entry] if server.entries is None else server.entries
            answer = {"image": {"width": width, "height": height}, "predictions": entries}
            if self.path.endswith("classification"):
                answer |= {
                    "predictions": [{"class": "cat", "class_id": 0, "confidence": 0.5}],
                    "top": "cat",
                    "confidence": 0.5,
                }
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.asked = asked
    server.entries = None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def roboflow(flow):
    projects = [
        Project("ds", type="object-detection", configuration=flow.CONFIGURATION),
        Project("other"),
    ]
    with running_server(State(workspaces=[Workspace("ws", projects)])) as server:
        yield server


@pytest.fixture
def pictures(tmp_path):
    paths = [tmp_path / f"{number}.jpg" for number in (1, 2)]
    for number, path in enumerate(paths):
        path.write_bytes(sample_jpeg(seed=number))
    return [str(path) for path in paths]


@pytest.fixture
def al(tmp_path, monkeypatch, roboflow, inference):
    """Run the command; `documents` are written to files first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROBOFLOW_API_KEY", "request-key")

    def al(command, document, *arguments, servers=True):
        path = tmp_path / "doc.json"
        if document is not None:
            path.write_text(json.dumps(document))
        more = []
        if command == "run" and servers:
            url = f"http://127.0.0.1:{inference.server_port}"
            more = ["--inference-url", url, "--api-url", roboflow.url]
        return CliRunner().invoke(workflow, [command, str(path), *arguments, *more])

    return al
