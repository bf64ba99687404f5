"""The predictor that asks a Roboflow Inference server, against a server that answers by script."""

import base64
import http.server
import io
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import PIL.Image
import pytest

from al_framework.api import Detections, Frame, FrameError, Image, PredictionError
from al_framework.testing import PredictorContract, make_context, sample_frame, sample_pixels
from al_framework_roboflow.predictor import (
    ModelRequest,
    RoboflowInference,
    RoboflowInferenceOptions,
)

KEY = "rf_secretSECRET"
BOXES = {
    "image": {"width": 64, "height": 48},
    "predictions": [
        {
            "x": 30.0,
            "y": 20.0,
            "width": 10.0,
            "height": 8.0,
            "confidence": 0.5,
            "class": "cat",
            "class_id": 0,
        }
    ],
}


@dataclass
class Script:
    """What the server answers, and what it was asked."""

    answer: Callable[[dict], tuple[int, bytes]] = lambda body: (200, json.dumps(BOXES).encode())
    asked: list = field(default_factory=list)
    url: str = ""
    release: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def inference():
    script = Script()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            script.asked.append((self.path, body))
            status, content = script.answer(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if 300 <= status < 400:
                self.send_header("Location", f"{script.url}/elsewhere")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}"
    yield script
    script.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def build(inference, tmp_path):
    made = []

    def build(**options):
        values = {"url": inference.url, "model_id": "some/1", **options}
        checked = RoboflowInferenceOptions.model_validate(values)
        made.append(RoboflowInference(checked, make_context(tmp_path, name="eye")))
        return made[-1]

    yield build
    for one in made:
        one.close()


class TestRoboflowInference(PredictorContract):
    component = RoboflowInference
    options = {"model_id": "some/1"}

    @pytest.fixture(autouse=True)
    def _server(self, inference):
        def answer(body):
            data = base64.b64decode(body["image"]["value"])
            width, height = Image(data).size
            document = BOXES | {"image": {"width": width, "height": height}}
            return 200, json.dumps(document).encode()

        inference.answer = answer
        type(self).options = {"model_id": "some/1", "url": inference.url}


ROUTES = [
    ("object-detection", "/infer/object_detection"),
    ("instance-segmentation", "/infer/instance_segmentation"),
    ("keypoint-detection", "/infer/keypoints_detection"),
    ("classification", "/infer/classification"),
]


@pytest.mark.parametrize(("task", "route"), ROUTES)
def test_each_task_has_its_route_and_the_server_does_not_collect(task, route, build, inference):
    if task == "classification":
        inference.answer = lambda _: (200, b'{"predictions": [], "top": "cat", "confidence": 0.5}')
    prediction = build(task=task, api_key=KEY, confidence=0.2).predict(sample_frame())

    (path, body) = inference.asked[0]
    assert path == route
    assert body.pop("image")["type"] == "base64"
    assert body == {
        "model_id": "some/1",
        "api_key": KEY,
        "confidence": 0.2,
        "disable_active_learning": True,
    }
    assert prediction.prediction_type == task


def test_yolo_world_gets_its_version_and_words(build, inference):
    predictor = build(task="yolo-world", model_id="yolo_world/s", classes=["cat", "dog"])

    prediction = predictor.predict(sample_frame())

    (path, body) = inference.asked[0]
    body.pop("image")
    assert path == "/yolo_world/infer"
    assert body == {"yolo_world_version_id": "s", "text": ["cat", "dog"], "confidence": 0.05}
    assert isinstance(prediction, Detections)
    assert prediction.prediction_type == "object-detection"


def test_a_prediction_keeps_the_servers_document(build):
    prediction = build().predict(sample_frame())

    assert prediction.document == BOXES
    assert prediction.xyxy.tolist() == [[25.0, 16.0, 35.0, 24.0]]


def test_no_confidence_leaves_it_to_the_server(build, inference):
    build(confidence=None).predict(sample_frame())

    assert set(inference.asked[0][1]) == {"model_id", "image", "disable_active_learning"}


def test_an_upright_file_is_sent_as_it_is(build, inference):
    frame = sample_frame()

    build().predict(frame)

    sent = base64.b64decode(inference.asked[0][1]["image"]["value"])
    assert sent == frame.image.encoded
    assert not frame.image.decoded


def sent_picture(inference):
    data = base64.b64decode(inference.asked[-1][1]["image"]["value"])
    return PIL.Image.open(io.BytesIO(data))


def test_arrays_and_turned_files_are_sent_upright(build, inference, tmp_path):
    predictor = build()
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.new("RGB", (20, 10)).save(tmp_path / "turned.jpg", exif=exif)

    predictor.predict(Frame(frame_id="a", image=Image(sample_pixels(30, 40))))
    array = sent_picture(inference)
    predictor.predict(Frame(frame_id="b", image=Image(tmp_path / "turned.jpg")))
    turned = sent_picture(inference)

    assert array.size == (30, 40)
    assert np.abs(np.asarray(array, int)[:, :, ::-1] - sample_pixels(30, 40)).mean() < 8
    assert turned.size == (10, 20)
    assert 0x0112 not in turned.getexif()


def test_one_server_runs_several_models(build, inference):
    request = ModelRequest(
        task="keypoint-detection", model_id="other/2", parameters={"keypoint_confidence": 0.3}
    )

    document = build().predict_model(sample_frame(), request)

    (path, body) = inference.asked[0]
    assert (path, body["model_id"], body["keypoint_confidence"]) == (
        "/infer/keypoints_detection",
        "other/2",
        0.3,
    )
    assert "confidence" not in body
    assert document == BOXES


def test_the_answer_to_a_list_of_one_is_that_one(build, inference):
    inference.answer = lambda _: (200, json.dumps([BOXES]).encode())

    assert len(build().predict(sample_frame())) == 1


REFUSALS = [
    (401, b'{"message": "the key rf_secretSECRET is unknown"}', ": the key \\*\\*\\* is unknown"),
    (422, b'{"detail": [{"loc": ["body", "model_id"]}]}', ": .*model_id.*"),
    (500, b"Internal\nServer  Error", ": Internal Server Error"),
    (503, b'"later"', ": later"),
    (502, b"", ""),
]


@pytest.mark.parametrize(("status", "content", "reason"), REFUSALS)
def test_a_refusal_says_who_and_why_and_never_the_key(status, content, reason, build, inference):
    inference.answer = lambda _: (status, content)
    expected = (
        r"predictor 'eye': frame 'frame-1': 'http://127.0.0.1:\d+/infer/object_detection' refused "
        rf"the model 'some/1' with status {status}{reason}$"
    )

    with pytest.raises(FrameError, match=expected) as caught:
        build(api_key=KEY).predict(sample_frame())

    assert KEY not in str(caught.value)
    assert caught.value.frame_id == "frame-1"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_follows_no_redirect(status, build, inference):
    inference.answer = lambda body: (status, b"")

    expected = (
        f"object_detection' answered with status {status}, a redirect, which is never followed"
    )
    with pytest.raises(FrameError, match=expected):
        build(api_key=KEY).predict(sample_frame())

    assert [path for path, _ in inference.asked] == ["/infer/object_detection"]


@pytest.mark.parametrize("content", [b"<html>", b"[1, 2]", b'"rf_secretSECRET"', b"null"])
def test_an_answer_that_is_no_document_is_shown(content, build, inference):
    inference.answer = lambda _: (200, content)

    expected = "which is no response document: is it an Inference server"
    with pytest.raises(PredictionError, match=expected) as caught:
        build(api_key=KEY).predict(sample_frame())

    assert KEY not in str(caught.value)


def test_a_document_that_cannot_be_read_names_the_entry(build, inference):
    inference.answer = lambda _: (200, b'{"predictions": [{"class": "cat"}]}')

    with pytest.raises(PredictionError, match=r"predictions\[0\].confidence"):
        build().predict(sample_frame())


def test_a_server_that_does_not_answer_is_given_up(build, inference):
    inference.answer = lambda _: (200, b"{}") if inference.release.wait(30) else (500, b"")

    expected = "did not answer within 0.05 s: raise timeout_s if the model has yet to be loaded"
    with pytest.raises(FrameError, match=expected) as caught:
        build(timeout_s=0.05).predict(sample_frame())
    inference.release.set()

    assert caught.value.__suppress_context__


def test_a_server_that_is_not_there_is_named(build):
    expected = r"cannot be reached \(ConnectionError\): start the server, or set url"
    with pytest.raises(FrameError, match=expected):
        build(url="http://127.0.0.1:9").predict(sample_frame())


def test_a_picture_that_does_not_decode_is_never_sent(build, inference):
    with pytest.raises(FrameError, match="image"):
        build().predict(Frame(frame_id="x", image=Image(b"nothing")))

    assert inference.asked == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "127.0.0.1:9001"}, "has to begin with http:// or https:// and name a host"),
        ({"url": "http://"}, "has to begin with http:// or https:// and name a host"),
        ({"url": "http://a:b@host"}, "must hold neither user nor query: give the key as api_key"),
        ({"url": "http://host?api_key=x"}, "must hold neither user nor query"),
        ({"task": "ocr"}, "task"),
        ({"confidence": 1.5}, "confidence"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"model": "x"}, "model"),
    ],
)
def test_options_are_checked(options, message, build):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_the_key_is_in_no_repr(build):
    predictor = build(api_key=KEY)

    assert KEY not in repr(predictor.options)
    assert KEY not in repr(predictor.options.model_dump())


def test_nothing_is_asked_before_the_first_frame(build, inference):
    build().start()

    assert inference.asked == []


def test_the_child_of_a_fork_has_a_connection_of_its_own(build, monkeypatch):
    predictor = build()
    sessions = [predictor._session(), predictor._session()]
    monkeypatch.setattr("os.getpid", lambda: -1)
    sessions.append(predictor._session())

    assert sessions[0] is sessions[1]
    assert sessions[1] is not sessions[2]
