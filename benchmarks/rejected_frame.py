"""What does a frame cost that no strategy wants?

The answer decides whether collection can sit in the inference path: most frames are rejected.
Upstream decodes every JPEG before it asks a strategy.
"""

import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import PIL.Image

from al_framework.api import Image, Ticket
from benchmarks.measuring import Row, measure

SIZES = {"1080p": (1920, 1080), "4K": (3840, 2160)}
QUALITY = 85
DETECTIONS = 10
DECODE = "full decode"
SUBMIT = f"submit, rejected, {DETECTIONS} detections"


def run(*, quick: bool) -> list[Row]:
    """Measure each size of JPEG."""
    rows: list[Row] = []
    for name, size in SIZES.items():
        data = photograph(size)
        group = f"JPEG {name}, {len(data) // 1000} kB"
        with collector() as submit:
            cases = ways(data, response(size), submit)
            rows += measure(group, cases, reference=DECODE, quick=quick)
    return rows


def ways(
    data: bytes, document: object, submit: Callable[[bytes, object], Ticket]
) -> Mapping[str, Callable[[], object]]:
    """Return what is compared, by name."""
    ticket = submit(data, document)
    if ticket.status != "not_selected":
        raise RuntimeError(f"the frame was not rejected but {ticket.status!r}: {ticket.reason!r}")
    return {
        "Image(jpeg).size": lambda: Image(data).size,
        "PIL.Image.open(jpeg).size": lambda: PIL.Image.open(io.BytesIO(data)).size,
        SUBMIT: lambda: submit(data, document),
        DECODE: lambda: Image(data).pixels(),
    }


def photograph(size: tuple[int, int]) -> bytes:
    """Return a mosaic of the photographs in the scikit-image wheel, as a camera's JPEG."""
    from skimage import data

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


def response(size: tuple[int, int], *, confidence: float = 0.9) -> dict[str, object]:
    """Return a Roboflow response whose detections are all alike; sure ones are not selected."""
    width, height = size
    return {
        "inference_id": "benchmark",
        "time": 0.02,
        "image": {"width": width, "height": height},
        "predictions": [
            {
                "x": width * (row + 1) / (DETECTIONS + 1),
                "y": height / 2,
                "width": width / 20,
                "height": height / 20,
                "confidence": confidence,
                "class": "car",
                "class_id": 2,
                "detection_id": f"detection-{row}",
            }
            for row in range(DETECTIONS)
        ],
    }


@contextmanager
def collector() -> Iterator[Callable[[bytes, object], Ticket]]:
    """Yield `submit` of a collector in which no strategy wants a sure detection."""
    from al_framework.collector import Collector

    with tempfile.TemporaryDirectory() as directory:
        configuration = {
            "name": "benchmark",
            "adapter": {"type": "roboflow_response"},
            "active_learning": {
                "enabled": True,
                "persist_predictions": True,
                "sampling_strategies": [
                    {
                        "name": "hard_examples",
                        "type": "close_to_threshold",
                        "threshold": 0.4,
                        "epsilon": 0.1,
                        "probability": 1.0,
                    }
                ],
                "batching_strategy": {
                    "batches_name_prefix": "benchmark",
                    "recreation_interval": "never",
                },
            },
            "sinks": [{"type": "null"}],
            "spool": {"path": str(Path(directory) / "spool")},
        }
        with Collector.from_config(configuration) as opened:
            yield opened.submit
