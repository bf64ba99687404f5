"""Collectors that questions are asked of: the usual one, with a sink that takes everything."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from al_framework import Collector


@contextmanager
def collector(document: dict[str, Any], **others: object) -> Iterator[Collector]:
    """Yield a collector with a spool of its own.

    Args:
        document: Its Active Learning document.
        others: What else is to stand in the configuration, or instead.
    """
    with (
        tempfile.TemporaryDirectory() as directory,
        Collector.from_config(
            {
                "name": "benchmark",
                "adapter": {"type": "roboflow_response"},
                "active_learning": document,
                "sinks": [{"type": "null"}],
                "spool": {"path": str(Path(directory) / "spool")},
                **others,
            }
        ) as opened,
    ):
        yield opened
