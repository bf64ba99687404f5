"""The loop keeps up with what others do to the limits."""

import threading

from al_framework.api import Frame, Image, Options, Source
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.runner import BoundSource, Runner
from al_framework.testing import sample_detections, sample_jpeg


class Three(Source):
    type_name = "three"

    def frames(self, skip):
        for number in range(3):
            yield Frame(frame_id=f"cam/{number}", image=Image(sample_jpeg()), source="cam")

    def recorded_prediction(self, frame):
        return sample_detections(1)


class Watched(MemoryLedger):
    def __init__(self):
        super().__init__({"a": [LimitRule(period="daily", value=0)]}, scope="s")
        self.refreshed_at = []

    def refresh(self, now):
        self.refreshed_at.append(now)


def test_it_asks_for_news_before_every_frame_even_if_all_are_refused(world, yes, context):
    ledger = Watched()
    engine = world.engine({"a": yes}, ledger=ledger)
    runner = Runner(
        engine=engine,
        predictor=None,
        seen=lambda _: False,
        wait_for_room=lambda: False,
        clock=world.clock,
    )

    runner.run(
        [BoundSource(name="cam", source=Three(Options(), context))],
        stop=threading.Event(),
        progress=lambda _: None,
    )

    assert [world.clock.time()] * 3 == ledger.refreshed_at
    assert world.tally.counts({}).limited == 3
