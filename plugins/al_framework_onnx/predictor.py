"""The predictor ``onnx``: picture in, detections out, on the CPU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field

from al_framework.api import (
    AlFrameworkError,
    Context,
    Detections,
    Frame,
    ImageSize,
    Options,
    PredictionError,
    Predictor,
)
from al_framework_onnx.classes import class_names
from al_framework_onnx.decoding import Candidates, Decoder, OutputMismatchError, Shape
from al_framework_onnx.nanodet import NanoDet
from al_framework_onnx.network import Network, load_network
from al_framework_onnx.nms import suppress
from al_framework_onnx.yolov8 import YoloV8

_DECODERS: Mapping[str, type[Decoder]] = {"nanodet": NanoDet, "yolov8": YoloV8}


class OnnxOptions(Options):
    """Options of the predictor ``onnx``."""

    model_config = ConfigDict(protected_namespaces=())

    model: str = Field(
        min_length=1,
        description="The ONNX file; a relative path starts at the configuration file.",
        examples=["model.onnx"],
        json_schema_extra={"format": "file-path"},
    )
    decoder: Literal["nanodet", "yolov8"] | None = Field(
        default=None,
        description="How the network's outputs are read: 'nanodet', or 'yolov8' for YOLOv8 and its "
        "successors with the same head. By default the one that the outputs' shapes fit.",
    )
    classes: Annotated[str, Field(min_length=1)] | tuple[str, ...] | None = Field(
        default=None,
        description="The names of the classes in the model's order: a list, or a text file with "
        "one name a line. By default those in the model's metadata, else COCO's 80.",
    )
    confidence: float = Field(
        default=0.05,
        ge=0.0,
        le=1.0,
        description="Detections below it are left out. Keep it low: what is left out here, no "
        "strategy can see.",
    )
    iou: float | None = Field(
        default=None,
        ge=0.0,
        le=1.0,
        description="A box goes if it overlaps a better one of its class by more than this. By "
        "default 0.6 for nanodet and 0.7 for yolov8.",
    )
    max_detections: int = Field(
        default=100, ge=1, description="How many detections to report for a frame at most."
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Threads for one frame. By default as many as there are cores, 4 at the most.",
    )
    input_size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = Field(
        default=None,
        description="Width and height of the model's input in pixels, for a model that leaves "
        "them open.",
    )
    model_id: str | None = Field(
        default=None,
        min_length=1,
        description="Names the model in every datapoint. By default the file's name with the first "
        "eight digits of its SHA-256.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Model:
    network: Network
    decoder: Decoder
    class_name: tuple[str, ...]
    iou: float
    model_id: str


class OnnxPredictor(Predictor[OnnxOptions]):
    """Runs a detector in onnxruntime."""

    type_name = "onnx"

    def __init__(self, options: OnnxOptions, context: Context) -> None:
        super().__init__(options, context)
        self._model: _Model | None = None

    def start(self) -> None:
        """Load the model and run it once, so that a wrong decoder is found before the first frame.

        Raises:
            MissingExtraError: onnxruntime is not installed.
            AlFrameworkError: The model is missing, is not ONNX, does not fit the decoder, or its
                classes are not those named.
        """
        options = self.options
        path = self.context.resolve(options.model)
        network = load_network(path, threads=options.threads, input_size=options.input_size)
        width, height = network.input_size
        # A dry run: exporters may leave the shapes of outputs open, and the first run is slow.
        outputs = network.run(np.zeros((1, 3, height, width), dtype=np.float32))
        decoder, count = self._decoder(network, [output.shape for output in outputs])
        given = options.classes
        names = class_names(
            self.context.resolve(given) if isinstance(given, str) else given,
            metadata=network.metadata,
            count=count,
            model=path,
        )
        self._model = _Model(
            network=network,
            decoder=decoder,
            class_name=names,
            iou=decoder.iou if options.iou is None else options.iou,
            model_id=options.model_id or f"{path.stem}@{network.digest[:8]}",
        )
        self.context.logger.info(
            "model %s: %d classes, %dx%d pixels", self._model.model_id, count, width, height
        )

    def predict(self, frame: Frame) -> Detections:
        """Return the detections in one frame, the most confident first.

        Raises:
            ImageError: The picture does not decode.
            PredictionError: The model answered with numbers that are not finite.
        """
        if self._model is None:
            raise AlFrameworkError(f"predictor {self.context.name!r} was asked before its start")
        model = self._model
        pixels = frame.image.pixels("bgr")
        size = (pixels.shape[1], pixels.shape[0])
        outputs = model.network.run(model.decoder.prepare(pixels))
        if not all(np.isfinite(output).all() for output in outputs):
            raise PredictionError(
                f"the model {model.model_id!r} answered frame {frame.frame_id!r} with numbers "
                "that are not finite",
                frame_id=frame.frame_id,
            )
        candidates = model.decoder.decode(outputs, size, self.options.confidence)
        found = _final(candidates, size, iou=model.iou, max_detections=self.options.max_detections)
        return Detections(
            xyxy=found.xyxy,
            confidence=found.confidence,
            class_name=tuple(model.class_name[index] for index in found.class_id),
            class_id=found.class_id,
            image_size=size,
            model_id=model.model_id,
        )

    def close(self) -> None:
        """Let go of the model."""
        self._model = None

    def _decoder(self, network: Network, shapes: Sequence[Shape]) -> tuple[Decoder, int]:
        """Return the decoder that fits the outputs, and the number of classes."""
        wanted = self.options.decoder
        problems = []
        for name in _DECODERS if wanted is None else (wanted,):
            decoder = _DECODERS[name](network.input_size)
            try:
                return decoder, decoder.bind(shapes)
            except OutputMismatchError as exc:
                problems.append(str(exc))
        raise AlFrameworkError(
            f"the model {str(network.path)!r} does not fit: {'; '.join(problems)}"
        )


def _final(
    candidates: Candidates, size: ImageSize, *, iou: float, max_detections: int
) -> Candidates:
    """Cut the boxes at the picture's edges, drop what lies outside, and suppress doubles."""
    xyxy = candidates.xyxy.clip(0.0, np.tile(np.array(size, dtype=np.float64), 2))
    inside = np.flatnonzero((xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1]))
    kept = suppress(
        xyxy[inside],
        candidates.confidence[inside],
        candidates.class_id[inside],
        iou=iou,
        max_detections=max_detections,
    )
    rows = inside[kept]
    return Candidates(
        xyxy=xyxy[rows],
        confidence=candidates.confidence[rows],
        class_id=candidates.class_id[rows],
    )
