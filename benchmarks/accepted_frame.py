"""What does a frame cost that is taken, up to the sink?

Both sides go as far as the HTTP requests, which are answered at once: adapter, strategies, limits,
the picture scaled and encoded, the datapoint made, its annotation written, both bodies made. That
is a dry run, since the peer keeps nothing on disk. What the promise costs that nothing accepted is
lost stands apart, in the group "through the spool": the same and a commit to disk, read again,
handed to a sink that takes everything, acknowledged. The floor is the picture alone with the same
libraries: a JPEG copied, decoded small, resized, encoded.

Both sides' pictures are compared with what they should be: the average of the areas, in floats, of
the picture that the frame decodes to. As much as 38 dB is asked for, and no less than the peer has;
the floor is what that average itself comes to once it is a JPEG of this quality.
"""

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import PIL.Image

from al_framework import Collector
from al_framework.api import ImageSize
from al_framework.pipeline import opencv
from benchmarks import frames, peers
from benchmarks.amounts import Amount
from benchmarks.collecting import collector
from benchmarks.comparing import Case, Comparison, Cost, Side, Target, compare, here
from benchmarks.dry_run import DryRun, codec
from benchmarks.stored import QUALITY, Stored, ceiling_db

DETECTIONS = 10
TAKES_ALL = [{"name": "all", "type": "random", "traffic_percentage": 1.0}]
FULL_HD, SMALL = (1080, 1920), (640, 640)
_AT_ONCE = 4
_ROOM = {"max_bytes": 2 * _AT_ONCE * 3840 * 2160 * 3}  # for that many 4K arrays, and more
_PATIENCE_S = 60.0
LEAST_DB = 38.0


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


def run(*, quick: bool) -> list[Comparison | Amount]:
    """Measure JPEGs and arrays, stored as they are and scaled down, and how good they are then."""
    costs: list[Comparison | Amount] = []
    qualities: list[Comparison | Amount] = []
    with peers.interpreter() as peer, frames.files() as files:
        for setting in settings():
            # One by one: the threads of an open collector would count in the others' time.
            with ExitStack() as stack:
                case, quality = _case(setting, peer, files, stack)
                costs += compare([case], quick=quick, rounds=15)
            qualities += [quality] if quality else []
    return costs + qualities


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


def _case(
    setting: Setting, peer: peers.Peer, files: frames.Files, stack: ExitStack
) -> tuple[Case, Amount | None]:
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
    dry = DryRun(document, picture, answer, fast=setting.fast)
    ours = Stored.of(dry.image(), size)
    side: Side = dry
    if setting.spooled:
        opened = stack.enter_context(collector(document, handoff=_ROOM))
        side = _through_the_spool(opened, picture, answer, fast=setting.fast)
    file = files.directory / "stored.jpg"
    outcome = peer.outcome("registering", stored=str(file), **work)
    theirs = None if outcome is None else Stored.of(file.read_bytes(), size)
    if theirs is not None and (theirs.size != ours.size or outcome["uploads"] != 1):
        raise RuntimeError(f"the sides do not do the same: ours {ours}, the peer's {theirs}")
    case = Case(
        group=setting.group,
        name=setting.name,
        ours=side,
        peer=peer.side("registering", **work),
        floor=here(floor(setting, picture, ours.size)),
        targets=setting.targets,
        outputs={"ours": str(ours), "the peer's": "not run" if theirs is None else str(theirs)},
    )
    if setting.spooled or setting.limit is None:
        return case, None
    return case, Amount(
        group="PSNR of what is stored",
        case=f"{setting.group}, {setting.name}",
        unit="dB",
        ours=ours.psnr_db,
        peer=None if theirs is None else theirs.psnr_db,
        floor=ceiling_db(size, ours.size),
        at_least=max(LEAST_DB, theirs.psnr_db if theirs else 0.0),
    )


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


def floor(setting: Setting, picture: Any, size: ImageSize) -> Callable[[], object]:
    """Return the picture's work, bare."""
    if setting.jpeg:
        if setting.limit is None:
            return lambda: bytes(bytearray(picture))
        return lambda: _with_pillow(PIL.Image.open(io.BytesIO(picture)), size)
    if setting.fast:
        return lambda: _with_opencv(picture, size)
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


def _with_opencv(pixels: Any, size: ImageSize) -> bytes:
    import cv2

    if pixels.shape[1] // size[0] > 2:  # halves are cheap, and other fractions of what is left
        half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
        pixels = cv2.resize(pixels, half, interpolation=cv2.INTER_AREA)
    if pixels.shape[1::-1] != size:
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
