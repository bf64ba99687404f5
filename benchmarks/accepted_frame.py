"""What does a frame cost that is taken, up to the sink?

Ours goes as far as the peer's goes, which ends where it would send its request: adapter,
strategies, limits, the picture scaled and encoded, the datapoint made. That is a dry run, since
the peer keeps nothing on disk. What the promise costs that nothing accepted is lost stands apart,
in the group "through the spool": the same and a commit to disk, read again, handed to a sink that
takes everything, acknowledged. The floor is the picture alone with the same libraries: a JPEG
copied, decoded small, resized, encoded.

Both sides' stored pictures are compared with what they should be: the average of the areas, in
floats, of the picture that the frame decodes to.
"""

import io
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import PIL.Image

from al_framework import Collector
from al_framework.api import Datapoint, Frame, Image, ImageSize
from al_framework.api.image import Pixels
from al_framework.assembly import assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
from al_framework.pipeline import encoding, opencv
from al_framework.pipeline.offers import Ended
from benchmarks import frames, peers
from benchmarks.collecting import collector
from benchmarks.comparing import Case, Comparison, Cost, Side, Target, compare, here

QUALITY = 95
DETECTIONS = 10
TAKES_ALL = [{"name": "all", "type": "random", "traffic_percentage": 1.0}]
FULL_HD, SMALL = (1080, 1920), (640, 640)
_AT_ONCE = 4
_ROOM = {"max_bytes": 2 * _AT_ONCE * 3840 * 2160 * 3}  # for that many 4K arrays, and more
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is submitted, and how it is to be stored.

    Attributes:
        size: Of the frame; a key of `frames.SIZES`.
        limit: Largest ``(height, width)``, or None.
        jpeg: A JPEG; an array otherwise.
        fast: With the extra ``fast``; no difference for a JPEG.
        spooled: Through the spool, as in production; a dry run otherwise.
        targets: What is to be reached.
    """

    size: str
    limit: tuple[int, int] | None
    jpeg: bool
    fast: bool = False
    spooled: bool = False
    targets: tuple[Target, ...] = ()

    @property
    def group(self) -> str:
        """What the frame is."""
        if self.spooled:
            return "through the spool"
        return self._frame

    @property
    def name(self) -> str:
        """How it is stored."""
        stored = {None: "as it is", FULL_HD: "to 1080p", SMALL: "to 640"}[self.limit]
        return f"{self._frame}, {stored}" if self.spooled else stored

    @property
    def _frame(self) -> str:
        if self.jpeg:
            return f"JPEG {self.size}"
        return f"array {self.size}, " + ("extra fast" if self.fast else "core")


def run(*, quick: bool) -> list[Comparison]:
    """Measure JPEGs and arrays, stored as they are and scaled down."""
    rows: list[Comparison] = []
    with peers.interpreter() as peer, frames.files() as files:
        for setting in settings():
            # One by one: the threads of an open collector would count in the others' time.
            with ExitStack() as stack:
                case = _case(setting, peer, files, stack)
                rows += compare([case], quick=quick, rounds=15)
    return rows


def settings() -> Iterator[Setting]:
    """Yield what is measured; without OpenCV nothing of the extra ``fast``."""
    of_a_jpeg: Mapping[Any, tuple[Target, ...]] = {
        ("4K", None): (Target(1 / 50, "peer"),),
        ("4K", FULL_HD): (Target(0.6, "peer"), Target(1.25, "floor")),
    }
    limits = [("1080p", None), ("1080p", SMALL), ("4K", None), ("4K", FULL_HD), ("4K", SMALL)]
    for size, limit in limits:
        yield Setting(size=size, limit=limit, jpeg=True, targets=of_a_jpeg.get((size, limit), ()))
    fast_there = opencv.load_opencv() is not None
    for fast, most in ((False, 2.5), (True, 1.0))[: 1 + fast_there]:
        for size, limit in limits:
            targets = (Target(most, "peer"),) if (size, limit) == ("4K", FULL_HD) else ()
            yield Setting(size=size, limit=limit, jpeg=False, fast=fast, targets=targets)
    yield Setting(size="4K", limit=None, jpeg=True, spooled=True)
    yield Setting(size="4K", limit=FULL_HD, jpeg=True, spooled=True)
    yield Setting(size="4K", limit=FULL_HD, jpeg=False, fast=fast_there, spooled=True)


def _case(setting: Setting, peer: peers.Peer, files: frames.Files, stack: ExitStack) -> Case:
    size = frames.SIZES[setting.size]
    picture = frames.photograph(size) if setting.jpeg else frames.pixels(size)
    answer = frames.response(size, detections=DETECTIONS)
    document = frames.document(
        TAKES_ALL, max_image_size=setting.limit, jpeg_compression_level=QUALITY
    )
    work = {
        "frame": files.jpeg(size) if setting.jpeg else files.array(size),
        "prediction": files.json(f"accepted-{setting.size}", answer),
        "prediction_type": frames.TASK,
        "document": document,
    }
    if setting.spooled:
        opened = stack.enter_context(collector(document, handoff=_ROOM))
        side = _through_the_spool(opened, picture, answer, fast=setting.fast)
    else:
        side = _dry(document, picture, answer, fast=setting.fast)
    stored = files.directory / "stored.jpg"
    outcome = peer.outcome("registering", stored=str(stored), **work)
    with codec(fast=setting.fast):
        ours = _stored(picture, answer, document)
    return Case(
        group=setting.group,
        name=setting.name,
        ours=side,
        peer=peer.side("registering", **work),
        floor=here(floor(setting, picture, _size(ours))),
        targets=setting.targets,
        outputs={
            "ours": _described(ours, size),
            "the peer's": "not run" if outcome is None else _described(stored.read_bytes(), size),
        },
    )


@contextmanager
def codec(*, fast: bool) -> Iterator[None]:
    """Encode arrays with the extra ``fast``, or as if it were not installed."""
    if fast:
        yield
        return
    with mock.patch.object(encoding, "load_opencv", return_value=None):
        yield


def _dry(document: dict[str, Any], picture: Any, answer: dict[str, Any], *, fast: bool) -> Side:
    """Return the side that makes datapoints and keeps none."""
    host = PluginHost.discover()
    configuration = {
        "name": "benchmark",
        "adapter": {"type": "roboflow_response"},
        "active_learning": document,
        "sinks": [{"type": "null"}],
    }
    checked = load_configuration(read_document(configuration), host)
    engine = assemble(checked, host, dry_run=True, background=False).engine

    def take() -> Datapoint:
        [offer] = engine.offer(Frame(frame_id="frame", image=Image(picture)), answer)
        if offer.pending is None:
            raise RuntimeError(f"the frame was not taken: {offer}")
        candidate = engine.prepare(offer.pending)
        if isinstance(candidate, Ended):
            raise RuntimeError(f"the frame was not encoded: {candidate}")  # noqa: TRY004 - no type was asked for
        [result] = engine.accept([candidate])
        return candidate.compose(result.strategy or "")

    taking = here(take)

    def calls(number: int) -> Cost:
        with codec(fast=fast):
            return taking(number)

    return calls


def _through_the_spool(
    opened: Collector, picture: Any, answer: dict[str, Any], *, fast: bool
) -> Side:
    """Return the side that submits so many frames and waits until the sink has them."""

    def calls(number: int) -> Cost:
        with codec(fast=fast):
            wall, cpu = time.perf_counter(), time.process_time()
            for first in range(0, number, _AT_ONCE):
                for _ in range(first, min(first + _AT_ONCE, number)):
                    opened.submit(picture, answer, owned=True)
                _wait_until_delivered(opened)
            return Cost(cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall)

    return calls


def _wait_until_delivered(opened: Collector) -> None:
    end = time.monotonic() + _PATIENCE_S
    while True:
        counts = opened.stats()
        [sink] = counts.sinks.values()
        if counts.dropped or time.monotonic() > end:
            raise RuntimeError(f"not all frames were delivered: {counts}")
        if sink.delivered == counts.offered:
            return
        time.sleep(0.001)


def _stored(picture: Any, answer: dict[str, Any], document: dict[str, Any]) -> bytes:
    """Return the picture as a collector stores it in a directory."""
    with tempfile.TemporaryDirectory() as directory:
        sinks = [{"type": "directory", "path": directory}]
        with collector(document, sinks=sinks) as opened:
            opened.submit(picture, answer)
            _wait_until_delivered(opened)
        [path] = Path(directory).rglob("*.jpg")
        return path.read_bytes()


def floor(setting: Setting, picture: Any, size: ImageSize) -> Callable[[], object]:
    """Return the picture's work, bare."""
    if setting.jpeg:
        if setting.limit is None:
            return lambda: bytes(bytearray(picture))
        return lambda: _with_pillow(PIL.Image.open(io.BytesIO(picture)), size)
    cv2 = opencv.load_opencv()
    if setting.fast and cv2 is not None:
        return lambda: cv2.encode(picture, "BGR", size, QUALITY)
    height, width = picture.shape[:2]
    return lambda: _with_pillow(
        PIL.Image.frombuffer("RGB", (width, height), picture, "raw", "BGR", 0, 1), size
    )


def _with_pillow(picture: PIL.Image.Image, size: ImageSize) -> bytes:
    picture.draft("RGB", size)
    if picture.width // size[0] > 1:
        picture = picture.reduce(picture.width // size[0])
    if picture.size != size:
        picture = picture.resize(size, PIL.Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _described(stored: bytes, source: ImageSize) -> str:
    with PIL.Image.open(io.BytesIO(stored)) as opened:
        picture = np.asarray(opened.convert("RGB"))
    height, width = picture.shape[:2]
    reference = area_average(frames.pixels(source)[:, :, ::-1], (width, height))
    noise = psnr(picture, reference)
    quality = "the same pixels" if noise == float("inf") else f"{noise:.1f} dB"
    return f"{width}x{height}, {len(stored)} bytes, {quality}"


def _size(stored: bytes) -> ImageSize:
    with PIL.Image.open(io.BytesIO(stored)) as opened:
        return opened.size


def area_average(pixels: Pixels, size: ImageSize) -> npt.NDArray[np.float64]:
    """Return an array at a ``(width, height)``, each pixel the average of the area it covers."""
    width, height = size
    down = _averaged(pixels.astype(np.float64), height)
    return _averaged(down.swapaxes(0, 1), width).swapaxes(0, 1)


def _averaged(values: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """Return so many averages along the first axis, parts of pixels by their share."""
    length = len(values)
    sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    edges = np.linspace(0, length, count + 1)
    whole = np.minimum(edges.astype(int), length - 1)
    share = (edges - whole).reshape(-1, *[1] * (values.ndim - 1))
    averages: npt.NDArray[np.float64] = np.diff(sums[whole] + values[whole] * share, axis=0)
    return averages * (count / length)


def psnr(pixels: Pixels, reference: npt.NDArray[np.float64]) -> float:
    """Return the peak signal-to-noise ratio in decibels; infinite if nothing differs."""
    error = float(np.mean((pixels - reference) ** 2))
    return 10 * float(np.log10(255**2 / error)) if error else float("inf")
