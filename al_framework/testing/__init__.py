"""Contract tests and fakes for plugin authors."""

from al_framework.testing.fakes import (
    FakeCheckpoint,
    FakeClock,
    make_context,
    sample_frame,
    sample_jpeg,
    sample_pixels,
)

__all__ = [
    "FakeCheckpoint",
    "FakeClock",
    "make_context",
    "sample_frame",
    "sample_jpeg",
    "sample_pixels",
]
