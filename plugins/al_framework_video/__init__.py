"""Source ``video``: frames of video files, one at a time."""

from collections.abc import Sequence
from typing import Any

from al_framework.api import Source, hookimpl


@hookimpl
def al_register_sources() -> Sequence[type[Source[Any]]]:
    """Announce the source."""
    from al_framework_video.source import VideoSource

    return [VideoSource]
