"""The predictor ``roboflow_inference``: models that a Roboflow Inference server runs.

Source: Roboflow inference 1.8.3, ``core/entities/requests/inference.py`` and
``core/entities/requests/yolo_world.py``: the names of the requests' fields.
"""

import base64
import io
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import requests
from pydantic import ConfigDict, Field, SecretStr, field_validator

from al_framework.api import (
    Context,
    Frame,
    FrameError,
    Image,
    Options,
    Prediction,
    PredictionError,
    Predictor,
)
from al_framework_roboflow.response import RoboflowResponse

Task: TypeAlias = Literal[
    "object-detection",
    "instance-segmentation",
    "keypoint-detection",
    "classification",
    "yolo-world",
]

_ROUTES: Mapping[str, str] = MappingProxyType(
    {
        "object-detection": "/infer/object_detection",
        "instance-segmentation": "/infer/instance_segmentation",
        "keypoint-detection": "/infer/keypoints_detection",
        "classification": "/infer/classification",
        "yolo-world": "/yolo_world/infer",
    }
)
_NO_PARAMETERS: Mapping[str, object] = MappingProxyType({})
_JPEG_QUALITY = 95
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MAX_SHOWN = 200


class RoboflowInferenceOptions(Options):
    """Options of the predictor ``roboflow_inference``."""

    model_config = ConfigDict(protected_namespaces=())

    url: str = Field(
        default="http://127.0.0.1:9001", description="Address of the Inference server."
    )
    model_id: str = Field(
        min_length=1,
        description="The model, such as my-project/3; for the task yolo-world its version, such "
        "as yolo_world/l.",
        examples=["my-project/3"],
    )
    task: Task = Field(default="object-detection", description="What the model does.")
    api_key: SecretStr | None = Field(
        default=None,
        description="Roboflow API key with which the server loads the model. By default the "
        "server's own.",
    )
    confidence: float | None = Field(
        default=0.05,
        ge=0.0,
        le=1.0,
        description="Detections below it are left out; null leaves it to the server, which takes "
        "0.4. Keep it low: what is left out here, no strategy can see.",
    )
    classes: tuple[str, ...] | None = Field(
        default=None, description="For the task yolo-world: the words for what to look for."
    )
    timeout_s: float = Field(
        default=30.0,
        gt=0.0,
        le=3600.0,
        description="How long to wait for an answer. The first one of a model is slow, since the "
        "server has to load it.",
    )

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("has to begin with http:// or https:// and name a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must hold neither user nor query: give the key as api_key")
        return url.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What to ask a model server for, where one server runs several models.

    Attributes:
        task: What the model does.
        model_id: The model; ``yolo_world/l`` for YOLO-World.
        parameters: Fields of the request that the caller sets: ``confidence``,
            ``class_filter``, ``text`` …
    """

    task: Task
    model_id: str
    parameters: Mapping[str, object] = field(default_factory=lambda: _NO_PARAMETERS)


class RoboflowInference(Predictor[RoboflowInferenceOptions]):
    """Asks a Roboflow Inference server, which may run on the same machine.

    The server is told not to collect: that is our business. Pictures are sent as the file they
    came as wherever it is upright, else as JPEG.
    """

    type_name = "roboflow_inference"

    def __init__(self, options: RoboflowInferenceOptions, context: Context) -> None:
        super().__init__(options, context)
        self._adapter = RoboflowResponse(Options(), context)
        self._local = threading.local()
        self._sessions: list[requests.Session] = []

    def predict(self, frame: Frame) -> Prediction:
        """Return what the configured model says of one frame.

        Raises:
            FrameError: The server cannot be reached, refuses, or does not answer in time.
            PredictionError: Its answer cannot be read.
        """
        options = self.options
        parameters: dict[str, object] = {}
        if options.confidence is not None:
            parameters["confidence"] = options.confidence
        if options.classes is not None:
            parameters["text"] = list(options.classes)
        request = ModelRequest(task=options.task, model_id=options.model_id, parameters=parameters)
        document = self.predict_model(frame, request)
        task = "object-detection" if options.task == "yolo-world" else options.task
        return self._adapter.adapt(document, frame=frame, prediction_type=task)

    def predict_model(self, frame: Frame, request: ModelRequest) -> Mapping[str, object]:
        """Return the server's response document for one frame and any of its models.

        Raises:
            FrameError: The server cannot be reached, refuses, or does not answer in time.
            PredictionError: Its answer is no response document.
        """
        url = self.options.url + _ROUTES[request.task]
        try:
            reply = self._session().post(
                url,
                json=self._body(frame, request),
                timeout=self.options.timeout_s,
                allow_redirects=False,  # the body holds the key, which is for this server alone
            )
        except requests.Timeout:
            raise self._error(
                frame,
                f"{url!r} did not answer within {self.options.timeout_s:g} s: raise timeout_s if "
                "the model has yet to be loaded",
            ) from None
        except requests.RequestException as exc:
            raise self._error(
                frame,
                f"{url!r} cannot be reached ({type(exc).__name__}): start the server, or set url",
            ) from None
        if 300 <= reply.status_code < 400:
            raise self._error(
                frame,
                f"{url!r} answered with status {reply.status_code}, a redirect, which is never "
                "followed: correct url",
            )
        if not reply.ok:
            raise self._error(
                frame,
                f"{url!r} refused the model {request.model_id!r} with status "
                f"{reply.status_code}{self._reason(reply)}",
            )
        return self._document(frame, url, reply)

    def close(self) -> None:
        """Close the connections."""
        sessions, self._sessions = self._sessions, []
        self._local = threading.local()
        for session in sessions:
            session.close()

    def _session(self) -> requests.Session:
        held: tuple[int, requests.Session] | None = getattr(self._local, "held", None)
        # Not one from before a fork: parent and child would read each other's answers.
        if held is None or held[0] != os.getpid():
            session = requests.Session()
            # A proxy has no business between us and a server on this machine.
            session.trust_env = urlsplit(self.options.url).hostname not in _LOOPBACK
            self._sessions.append(session)
            self._local.held = held = (os.getpid(), session)
        return held[1]

    def _body(self, frame: Frame, request: ModelRequest) -> dict[str, object]:
        body: dict[str, object] = {
            **request.parameters,
            "image": {"type": "base64", "value": _base64(frame.image)},
        }
        if request.task == "yolo-world":
            body["yolo_world_version_id"] = request.model_id.rpartition("/")[2]
        else:
            body["model_id"] = request.model_id
            body["disable_active_learning"] = True
        if self.options.api_key is not None:
            body["api_key"] = self.options.api_key.get_secret_value()
        return body

    def _document(self, frame: Frame, url: str, reply: requests.Response) -> Mapping[str, object]:
        try:
            answer = json.loads(reply.content)
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, list) and len(answer) == 1:
            answer = answer[0]
        if not isinstance(answer, dict):
            shown = self._without_key(reply.text)[:_MAX_SHOWN]
            raise PredictionError(
                f"predictor {self.context.name!r}: {url!r} answered frame {frame.frame_id!r} with "
                f"{shown!r}, which is no response document: is it an Inference server?",
                frame_id=frame.frame_id,
            )
        return answer

    def _reason(self, reply: requests.Response) -> str:
        """Return what the server says, as far as it says anything."""
        try:
            said: Any = json.loads(reply.content)
        except (ValueError, RecursionError):
            said = reply.text
        if isinstance(said, Mapping):
            said = said.get("message") or said.get("detail") or said
        text = " ".join(self._without_key(str(said)).split())
        return f": {text[:_MAX_SHOWN]}" if text else ""

    def _without_key(self, text: str) -> str:
        key = self.options.api_key
        secret = "" if key is None else key.get_secret_value()
        return text.replace(secret, "***") if secret else text

    def _error(self, frame: Frame, text: str) -> FrameError:
        return FrameError(
            f"predictor {self.context.name!r}: frame {frame.frame_id!r}: {text}",
            frame_id=frame.frame_id,
        )


def _base64(image: Image) -> str:
    encoded = image.encoded
    if encoded is None or image.orientation != 1 or image.format not in ("JPEG", "PNG"):
        encoded = _jpeg(image)
    return base64.b64encode(encoded).decode("ascii")


def _jpeg(image: Image) -> bytes:
    import PIL.Image

    buffer = io.BytesIO()
    rgb = image.pixels("rgb")
    PIL.Image.fromarray(rgb.copy()).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()
