"""Stand-ins for what the core hands to a component: time, context, checkpoint, pictures."""

import io
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from al_framework.api import Context, Frame, Image, LeaseLostError


class FakeClock:
    """Time that stands still until a test moves it.

    Args:
        now: UTC epoch seconds to start at.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._monotonic = 0.0

    def time(self) -> float:
        """Return UTC epoch seconds."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds since the clock was made."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
        self._monotonic += seconds

    def set_time(self, now: float) -> None:
        """Set the wall clock without letting time pass, as an administrator would."""
        self._now = now


class FakeCheckpoint:
    """A checkpoint that lives in memory.

    Attributes:
        state: What has been saved so far.
        is_lost: Whether another worker has taken the datapoint over, so that nothing can be saved.
        is_asked: Whether anything was saved, or would have been.
    """

    def __init__(self, state: Mapping[str, str] | None = None, *, is_lost: bool = False) -> None:
        self.state: dict[str, str] = dict(state or {})
        self.is_lost = is_lost
        self.is_asked = False

    def save(self, **values: str) -> None:
        """Add to the state.

        Raises:
            LeaseLostError: `is_lost`.
        """
        self.is_asked = True
        if self.is_lost:
            raise LeaseLostError("another worker has the datapoint: stop at once")
        self.state.update(values)


def make_context(directory: Path, *, name: str = "test", clock: FakeClock | None = None) -> Context:
    """Return a context whose files stay in one directory.

    Args:
        directory: Base of relative paths; state goes to ``state/<name>`` in it.
        name: The instance's name.
        clock: Its time; a new `FakeClock` by default.
    """
    return Context(
        name=name,
        logger=logging.getLogger(f"al_framework.test.{name}"),
        clock=clock if clock is not None else FakeClock(),
        base_dir=directory,
        state_dir=directory / "state" / name,
    )


def sample_pixels(width: int = 64, height: int = 48, *, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return a BGR picture ``(h, w, 3)``: a gradient with a little noise, so that JPEG likes it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    base = np.stack([x * 255 // max(width, 1), y * 255 // max(height, 1), (x + y) % 256], axis=-1)
    noisy = base + rng.integers(0, 8, size=base.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def sample_jpeg(width: int = 64, height: int = 48, *, seed: int = 0, quality: int = 90) -> bytes:
    """Return the picture of `sample_pixels` as JPEG bytes."""
    import PIL.Image

    buffer = io.BytesIO()
    rgb = np.ascontiguousarray(sample_pixels(width, height, seed=seed)[:, :, ::-1])
    PIL.Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def sample_frame(frame_id: str = "frame-1", *, width: int = 64, height: int = 48) -> Frame:
    """Return a frame with a JPEG picture."""
    return Frame(frame_id=frame_id, image=Image(sample_jpeg(width, height)), captured_at=0.0)
