"""Guided fuzzing of what servers and models answer."""

import contextlib
import json

from guided_json import json_bytes, keys_of
from pydantic import SecretStr

from al_framework.api import AlFrameworkError, Frame, Image, SinkError, Target
from al_framework.api.http import HttpClient
from al_framework.pipeline.checking import check_prediction
from al_framework.testing.fakes import FakeCheckpoint, make_context, sample_jpeg
from al_framework.testing.samples import sample_datapoint
from al_framework_roboflow.batches import UncountableBatchError
from al_framework_roboflow.client import RoboflowApiError, RoboflowClient
from al_framework_roboflow.entries import UnreadableEntryError
from al_framework_roboflow.response import read_response
from al_framework_roboflow.sink import RoboflowSink, RoboflowSinkOptions
from al_framework_webhook.options import WebhookSinkOptions
from al_framework_webhook.sink import WebhookSink

ROW = {"x": 10.0, "y": 10, "width": 5, "height": 5, "confidence": 0.5, "class": "a", "class_id": 0}
SHAPES = {"points": [{"x": 1, "y": 2}], "keypoints": [{"x": 1, "y": 2, "confidence": 0.1}]}
MASK = {"rle": {"size": [48, 64], "counts": "PPY4"}, "detection_id": "d", "parent_id": "p"}
SEEN = {"image": {"width": 64, "height": 48}, "model_id": "m/1", "inference_id": "i"}
ANSWERS = [
    {"workspace": "w", "project": {"type": "object-detection"}},
    {"success": True, "duplicate": False, "id": "abc", "url": "https://x/"},
    {"batches": [{"name": "b", "id": "1", "images": 3, "numJobs": 1}]},
    {"jobs": [{"name": "j", "id": "1", "batch": "1", "numImages": 2, "sourceBatch": "1"}]},
    {"error": {"message": "no"}, "success": False},
    {**SEEN, "predictions": [ROW | SHAPES | MASK], "prediction_type": "instance-segmentation"},
    {**SEEN, "predictions": [ROW], "is_stub": False, "prediction_type": "object-detection"},
    {**SEEN, "predictions": [{"class": "a", "confidence": 0.5}], "top": "a", "confidence": 0.5},
    {**SEEN, "predictions": {"a": {"confidence": 0.5}}, "predicted_classes": ["a"]},
]


class Line:
    """The wire of an `HttpClient`, on which one answer comes to every request."""

    answer = (200, {}, b"")

    def ask(self, method, url, *, body, headers):
        return self.answer

    def close(self):
        pass


class Fuzzed:
    """Whatever a server answers, sinks and clients raise nothing but what is theirs to raise.

    The first line of an input tells status and ``Retry-After``, the rest is the body; it is read as
    what a model answered, too.
    """

    may_read = False

    def __init__(self, root):
        self._line = Line()
        HttpClient._line = lambda client: self._line
        self._frame = Frame(frame_id="f", image=Image(sample_jpeg(64, 48)))
        self._datapoint = sample_datapoint()
        self._target = Target(workspace="w", project="p")
        self._roboflow = RoboflowSink(
            RoboflowSinkOptions(api_key="k" * 20, project="p"), make_context(root)
        )
        webhook = {"url": "https://x/", "secret": "whsec_" + "A" * 32}
        self._sinks = [
            self._roboflow,
            WebhookSink(WebhookSinkOptions(**webhook), make_context(root)),
        ]
        self.seeds = [b"200\n" + json_bytes(answer) for answer in ANSWERS]
        self.seeds += [b"429 120\n", b"503 Fri, 31 Dec 1999 23:59:59 GMT\n<html>", b"409\n{}"]
        self.words = (*keys_of(ANSWERS), b"NaN", b"1e999", b"\\ud800", b"true", b"null")

    def check(self, data):
        head, _, body = data.partition(b"\n")
        status = int(head[:3]) if head[:3].isdigit() else 200
        headers = {"retry-after": head[3:].decode("latin-1").strip()}
        self._line.answer = (status, headers, body)
        self._deliver()
        self._ask()
        self._adapt(body)

    def _deliver(self):
        for sink in self._sinks:
            with contextlib.suppress(SinkError):
                receipt = sink.deliver(self._datapoint, FakeCheckpoint())

                assert receipt.status in {"created", "duplicate"}
                for text in (receipt.remote_id, receipt.url):
                    assert text is None or len(text) <= 2000

    def _ask(self):
        client = RoboflowClient(api_key=SecretStr("k" * 20))
        with contextlib.suppress(RoboflowApiError, UncountableBatchError):
            assert self._roboflow.batch_size("b", self._target) >= 0
        for question in (client.project_type, client.active_learning, client.batches, client.jobs):
            with contextlib.suppress(RoboflowApiError):
                question("w", "p")
        with contextlib.suppress(RoboflowApiError):
            assert isinstance(client.workspace(), str)

    def _adapt(self, body):
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return
        with contextlib.suppress(AlFrameworkError, UnreadableEntryError):
            check_prediction(read_response(document, self._frame, None))
