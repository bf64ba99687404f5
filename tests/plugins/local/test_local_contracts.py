"""The built-in components pass the tests that strangers' components have to pass."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from al_framework.api import Sink, SinkError, SinkPausedError
from al_framework.testing.contracts import SinkContract, SourceContract
from al_framework.testing.fakes import sample_jpeg
from al_framework_local.null import NullSink
from al_framework_local.sink import DirectorySink
from al_framework_local.source import DirectorySource


class TestDirectorySource(SourceContract):
    component = DirectorySource

    def prepare(self, directory: Path) -> Mapping[str, object]:
        frames = directory / "frames"
        frames.mkdir(exist_ok=True)
        for number in (1, 2, 10):
            (frames / f"img{number}.jpg").write_bytes(sample_jpeg(seed=number))
        return {"path": "frames"}

    def unreadable(self, directory: Path) -> Mapping[str, object]:
        return {"path": "missing"}


class TestDirectorySink(SinkContract):
    component = DirectorySink
    options = {"path": "collected"}

    def stored(self, sink: Sink[Any], directory: Path) -> int:
        del sink
        return len(list((directory / "collected" / "images").iterdir()))

    def faults(
        self, sink: Sink[Any], directory: Path
    ) -> Mapping[type[SinkError], Callable[[], object]]:
        return {SinkPausedError: lambda: shutil.rmtree(directory / "collected")}


class TestNullSink(SinkContract):
    component = NullSink
    deduplicates = False

    def stored(self, sink: Sink[Any], directory: Path) -> int:
        del sink, directory
        return 0
