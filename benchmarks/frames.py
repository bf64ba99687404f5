"""The pictures and predictions that questions are asked with: the same ones in every run."""

import functools
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from al_framework.api import Detections, Image
from al_framework.api.image import Pixels

SIZES = {"1080p": (1920, 1080), "4K": (3840, 2160)}
QUALITY = 85
CLASSES = ("car", "person", "bicycle", "dog")
TASK = "object-detection"
ROUND = 32  # predictions that one side goes round


@functools.cache
def photograph(size: tuple[int, int]) -> bytes:
    """Return a mosaic of the photographs in the scikit-image wheel, as a camera's JPEG."""
    data = _photographs()
    width, height = size
    picture = PIL.Image.new("RGB", size)
    for index, name in enumerate(("astronaut", "coffee", "chelsea", "rocket")):
        tile = PIL.Image.fromarray(getattr(data, name)()).resize((width // 2, height // 2))
        picture.paste(tile, (index % 2 * width // 2, index // 2 * height // 2))
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 3))
    noisy = (np.asarray(picture) + noise).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(noisy).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _photographs() -> Any:
    """Return the module of scikit-image that has them."""
    try:
        from skimage import data
    except ModuleNotFoundError as exc:
        sys.exit(f"the frames are photographs of scikit-image ({exc}): pip install scikit-image")
    return data


@functools.cache
def pixels(size: tuple[int, int]) -> Pixels:
    """Return what `photograph` decodes to, as a camera's array: BGR, writable, whole."""
    return np.array(Image(photograph(size)).pixels())


def response(
    size: tuple[int, int], *, detections: int = 10, confidence: float = 0.9
) -> dict[str, Any]:
    """Return a Roboflow response whose detections are equally sure; sure ones are not selected."""
    width, height = size
    return {
        "inference_id": "benchmark",
        "time": 0.02,
        "image": {"width": width, "height": height},
        "predictions": [
            {
                "x": width * (row + 1) / (detections + 1),
                "y": height / 2,
                "width": width / 20,
                "height": height / 20,
                "confidence": confidence,
                "class": CLASSES[row % len(CLASSES)],
                "class_id": row % len(CLASSES),
                "detection_id": f"detection-{row}",
            }
            for row in range(detections)
        ],
    }


def fresh(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a number of answers as they come from a server: alike, and sharing nothing."""
    text = json.dumps(answer)
    return [json.loads(text) for _ in range(ROUND)]


def arrays(size: tuple[int, int], *, detections: int = 10, confidence: float = 0.9) -> Detections:
    """Return the same detections as a program has them that speaks our types."""
    entries = response(size, detections=detections, confidence=confidence)["predictions"]
    corners = [(e["x"] - e["width"] / 2, e["y"] - e["height"] / 2) * 2 for e in entries]
    sides = [(0.0, 0.0, e["width"], e["height"]) for e in entries]
    shape = (len(entries), 4)
    return Detections(
        xyxy=np.array(corners).reshape(shape) + np.array(sides).reshape(shape),
        confidence=np.array([e["confidence"] for e in entries], dtype=np.float64),
        class_name=tuple(e["class"] for e in entries),
        class_id=np.array([e["class_id"] for e in entries], dtype=np.int64),
        image_size=size,
        prediction_type=TASK,
    )


def strategies(count: int = 4, **limits: int) -> list[dict[str, Any]]:
    """Return so many of Roboflow's strategies in turns, of which none takes a sure detection."""
    kinds: list[dict[str, Any]] = [
        {
            "type": "close_to_threshold",
            "threshold": 0.4,
            "epsilon": 0.1,
            "probability": 1.0,
        },
        {"type": "random", "traffic_percentage": 0.0},
        {"type": "detections_number_based", "less_than": 0, "probability": 1.0},
        {"type": "classes_based", "selected_class_names": ["cat"], "probability": 1.0},
    ]
    bounds = [{"type": period, "value": value} for period, value in limits.items()]
    chosen = [{**kinds[n % len(kinds)], "name": f"strategy-{n}"} for n in range(count)]
    return [{**one, "limits": bounds} for one in chosen] if bounds else chosen


def document(strategies: list[dict[str, Any]], **others: object) -> dict[str, Any]:
    """Return an Active Learning document, which both sides read alike."""
    return {
        "enabled": True,
        "persist_predictions": True,
        "sampling_strategies": strategies,
        "batching_strategy": {"batches_name_prefix": "benchmark", "recreation_interval": "never"},
        **others,
    }


@dataclass(frozen=True, slots=True)
class Files:
    """Frames and predictions in a directory, where the peer's process can read them.

    Attributes:
        directory: Where they are.
    """

    directory: Path

    def jpeg(self, size: tuple[int, int]) -> str:
        """Return the path of the photograph."""
        path = self._path("photograph", size, ".jpg")
        if not path.exists():
            path.write_bytes(photograph(size))
        return str(path)

    def array(self, size: tuple[int, int]) -> str:
        """Return the path of its pixels."""
        path = self._path("pixels", size, ".npy")
        if not path.exists():
            np.save(path, pixels(size))
        return str(path)

    def json(self, name: str, value: object) -> str:
        """Write a value under a name and return its path."""
        path = self.directory / f"{name}.json"
        path.write_text(json.dumps(value), encoding="utf-8")
        return str(path)

    def _path(self, name: str, size: tuple[int, int], suffix: str) -> Path:
        return self.directory / f"{name}-{size[0]}x{size[1]}{suffix}"


@contextmanager
def files() -> Iterator[Files]:
    """Yield a directory for them that is gone afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        yield Files(Path(directory))
