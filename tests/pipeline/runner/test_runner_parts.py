"""Parts of one frame never keep each other out, however they come to the spool."""

import threading

import pytest

from al_framework.api import Crop, Frame, Options, PredictionAdapter
from al_framework.pipeline.limits.base import LedgerUnavailableError
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.runner import GROUP_ITEMS, BoundSource, Runner
from al_framework.pipeline.spool import Spool, SpoolLimits
from al_framework.testing import sample_detections, sample_jpeg

FRAMES = 2
PICTURES = {f"{number}": sample_jpeg(64, 48 + number) for number in range(FRAMES)}
WHOLE = {f"cam/{number}": "whole" for number in range(FRAMES)}  # for the adapter to split


class Splitting(PredictionAdapter):
    """Makes crops of a frame, and a part of the frame itself where it is told to."""

    type_name = "splitting"
    crops = 2
    with_itself = False
    meanwhile = ()

    def accepts(self, document):
        return document in ("whole", "part")

    def adapt(self, document, *, frame, prediction_type):
        return sample_detections(1)

    def split(self, document, *, frame):
        if self.meanwhile:
            self.meanwhile.pop()()
        if self.with_itself:
            yield frame, "part"
        for number in range(self.crops):
            crop = Crop(
                frame_id=frame.frame_id,
                detection_id=str(number),
                left=0,
                top=0,
                width=9,
                height=9,
            )
            name = f"{frame.frame_id}#{number}"
            yield Frame(frame_id=name, image=frame.image, source="cam", parent=crop), "part"


class Stuttering(MemoryLedger):
    """Outside of the spool's transaction, and without an answer for one frame."""

    transactional = False

    def __init__(self, silent_at):
        super().__init__({}, scope="s")
        self._asked, self._silent_at = 0, silent_at

    def reserve(self, strategies, token, now, tx):
        self._asked += 1
        if self._asked == self._silent_at:
            raise LedgerUnavailableError("gone for a moment")
        return super().reserve(strategies, token, now, tx)


@pytest.fixture
def run(world, yes, listed, context, tmp_path):
    """Return a function that runs over two frames twice and returns the counts of each."""

    def run(*, ledger=None, limits=None, overtaken=False, **settings):
        frames = listed(*PICTURES, pictures=PICTURES, recorded=WHOLE)
        adapter = Splitting(Options(), context)
        for name, value in settings.items():
            setattr(adapter, name, value)
        ledger = ledger or MemoryLedger({}, scope="s")
        engine = world.engine({"a": yes}, adapters=[("splitting", adapter)], ledger=ledger)
        with Spool(
            tmp_path / "spool",
            sinks=["local"],
            ledger=ledger,
            clock=world.clock,
            limits=limits or SpoolLimits(min_free_bytes=0),
        ) as spool:
            engine._acceptor = spool
            if overtaken:
                adapter.meanwhile = [lambda: _run_once(engine, spool, world, frames)]
            return [_run_once(engine, spool, world, frames) for _ in range(2)]

    return run


def _run_once(engine, spool, world, frames):
    runner = Runner(
        engine=engine,
        predictor=None,
        seen=spool.seen,
        wait_for_room=lambda: True,
        clock=world.clock,
    )
    runner.run(
        [BoundSource(name="cam", source=frames)],
        stop=threading.Event(),
        progress=lambda _: None,
    )
    counts = world.tally.counts({})
    return counts.accepted, dict(counts.dropped), counts.skipped


@pytest.mark.parametrize("silent_at", [1, 2, 3, 4])
def test_parts_that_a_ledger_kept_waiting_are_taken_when_it_answers(run, silent_at):
    first, second = run(ledger=Stuttering(silent_at))

    assert (4, {}, 0) == first
    assert (4, {}, FRAMES) == second


@pytest.mark.parametrize("crops", [2, GROUP_ITEMS, 3 * GROUP_ITEMS])
@pytest.mark.parametrize("with_itself", [False, True])
def test_all_parts_of_a_frame_are_taken_over_as_many_groups_as_they_need(run, crops, with_itself):
    first, second = run(crops=crops, with_itself=with_itself)

    parts = FRAMES * (crops + with_itself)
    assert (parts, {}, 0) == first
    assert (parts, {}, FRAMES) == second


def test_parts_in_a_group_that_the_spool_takes_in_halves_are_all_taken(run):
    crops = 8
    small = len(sample_jpeg(64, 48)) * 12  # not all of one group, but half of it
    first, _ = run(
        crops=crops,
        with_itself=True,
        limits=SpoolLimits(min_free_bytes=0, max_bytes=small, when_full="drop_oldest"),
    )

    assert (FRAMES * (crops + 1), {}, 0) == first


@pytest.mark.parametrize(("crops", "max_bytes"), [(3 * GROUP_ITEMS, 1 << 30), (8, None)])
@pytest.mark.parametrize("with_itself", [False, True])
def test_a_frame_that_another_run_has_taken_is_not_taken_in_part(
    run, crops, max_bytes, with_itself
):
    max_bytes = max_bytes or len(sample_jpeg(64, 48)) * 12
    first, _ = run(
        crops=crops,
        with_itself=with_itself,
        overtaken=True,
        limits=SpoolLimits(min_free_bytes=0, max_bytes=max_bytes, when_full="drop_oldest"),
    )

    parts = FRAMES * (crops + with_itself)
    accepted, dropped, _ = first
    assert (parts, {"seen_meanwhile": parts // FRAMES}) == (accepted, dropped)
