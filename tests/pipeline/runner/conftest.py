"""A source that lists what it is told, and runs in which all is seen."""

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from al_framework.api import Crop, Frame, FrameKey, Image, Options, PredictionAdapter, Source
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.runner import BoundSource, Runner
from al_framework.pipeline.spool import Candidate, Spool, SpoolLimits
from al_framework.testing import sample_detections, sample_jpeg

PICTURE = sample_jpeg()


class Listed(Source):
    """Gives the names it was made with; an exception or a function in between is used."""

    type_name = "listed"

    def __init__(self, context, names, *, source="cam", asks=True, pictures=None, recorded=None):
        super().__init__(Options(), context)
        self.names, self.source, self.asks = names, source, asks
        self.pictures, self.recorded = pictures or {}, recorded or {}
        self.asked_for_prediction = []

    def frames(self, skip):
        for name in self.names:
            if isinstance(name, Exception):
                raise name
            if callable(name):
                name()
                continue
            frame_id = f"{self.source}/{name}"
            key = FrameKey(source=self.source, frame_id=frame_id, size=10, mtime_ns=1)
            if self.asks and skip(key):
                continue
            image = Image(self.pictures.get(name, PICTURE))
            yield Frame(frame_id=frame_id, image=image, source=self.source)

    def recorded_prediction(self, frame):
        self.asked_for_prediction.append(frame.frame_id)
        answer = self.recorded.get(frame.frame_id, sample_detections(1))
        if isinstance(answer, Exception):
            raise answer
        return answer


class Halves(PredictionAdapter):
    """Makes two crops of a frame."""

    type_name = "halves"

    def accepts(self, document):
        return document in ("halves", "half")

    def adapt(self, document, *, frame, prediction_type):
        return sample_detections(1)

    def split(self, document, *, frame):
        for side in ("left", "right"):
            crop = Crop(
                frame_id=frame.frame_id, detection_id=side, left=0, top=0, width=9, height=9
            )
            name = f"{frame.frame_id}#{side}"
            yield Frame(frame_id=name, image=frame.image, source=frame.source, parent=crop), "half"


@pytest.fixture
def listed(context):
    """The factory of sources, given names of frames and what happens between them."""

    def make(*names, **options):
        return Listed(context, names, **options)

    return make


class Run:
    """A runner with all that a test wants to see of it."""

    def __init__(self, world, engine, *, seen=None, rooms=(), predictor=None):
        self.world = world
        self.asked = []
        self.progressed = []
        self.stop = threading.Event()
        self._seen = set(seen or ())
        self._rooms = list(rooms)
        self.runner = Runner(
            engine=engine,
            predictor=predictor,
            seen=self._is_seen,
            wait_for_room=lambda: self._rooms.pop(0),
            clock=world.clock,
        )

    def __call__(self, *sources):
        bound = [BoundSource(name=source.source, source=source) for source in sources]
        return self.runner.run(bound, stop=self.stop, progress=self.progressed.append)

    def _is_seen(self, key):
        self.asked.append(key)
        return key.frame_id in self._seen

    @property
    def waiting(self):
        return list(self._rooms)

    @property
    def groups(self):
        """Names of the frames in each group; a candidate's in brackets."""
        return [
            [f"[{entry.key.frame_id}]" if isinstance(entry, Candidate) else entry.key.frame_id
             for entry in group]
            for group in self.world.spool.groups
        ]  # fmt: skip


@pytest.fixture
def spool(world, tmp_path) -> Iterator[Spool]:
    """A spool on disk, to take the place of the one in memory."""
    with Spool(
        tmp_path / "spool",
        sinks=["local"],
        ledger=SqliteLedger({}, scope="test"),
        clock=world.clock,
        limits=SpoolLimits(min_free_bytes=0),
    ) as opened:
        yield opened


@pytest.fixture(scope="session")
def halves() -> type[Halves]:
    """The adapter that splits frames, to be built or changed."""
    return Halves


@pytest.fixture
def new_run(world) -> Callable[..., Run]:
    """The factory of runs, given an engine."""
    return partial(Run, world)
