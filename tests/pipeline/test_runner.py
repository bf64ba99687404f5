import threading

import numpy as np
import pytest

from al_framework.api import (
    Crop,
    Frame,
    FrameKey,
    Image,
    Options,
    PredictionAdapter,
    PredictionError,
    Predictor,
    Source,
    SourceError,
    SpoolDiskFullError,
    SpoolError,
    SpoolFullError,
    Verdict,
)
from al_framework.pipeline import runner as runner_module
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.runner import (
    GROUP_AGE_S,
    GROUP_ENTRIES,
    GROUP_ITEMS,
    BoundSource,
    Runner,
)
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


class Model(Predictor):
    type_name = "model"

    def __init__(self, context, answers):
        super().__init__(Options(), context)
        self.answers = answers

    def predict(self, frame):
        answer = self.answers.get(frame.frame_id, sample_detections(1))
        if isinstance(answer, Exception):
            raise answer
        return answer


class Halves(PredictionAdapter):
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


def odd_ones(frame, _):
    """Take frames whose name ends with an odd digit."""
    return Verdict(match=frame.frame_id[-1] in "13579")


@pytest.fixture
def listed(context):
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


def outcomes(world):
    return {
        entry.key.frame_id: entry.outcome
        for group in world.spool.groups
        for entry in group
        if not isinstance(entry, Candidate)
    }


def test_every_frame_goes_through_all_stages_in_order(world, listed):
    run = Run(world, world.engine({"a": odd_ones}))

    assert {} == run(listed("1", "2", "3"))

    counts = world.tally.counts({})

    assert [["[cam/1]", "cam/2", "[cam/3]"]] == run.groups
    assert ["cam"] * 3 == run.progressed
    assert (3, 2, 1, 0) == (counts.offered, counts.accepted, counts.not_selected, counts.queued)


def test_a_frame_is_never_seen_ahead_of_an_earlier_one_that_is_not_accepted(world, listed):
    names = [str(n) for n in range(200)]
    run = Run(world, world.engine({"a": odd_ones}))
    run(listed(*names))
    committed = [name.strip("[]") for group in run.groups for name in group]

    assert [f"cam/{name}" for name in names] == committed


def test_sixteen_candidates_are_a_group(world, yes, listed):
    run = Run(world, world.engine({"a": yes}))
    run(listed(*map(str, range(GROUP_ITEMS + 2))))

    assert [16, 2] == [len(group) for group in run.groups]


def test_sixty_four_frames_are_a_group_even_without_candidates(world, no, listed):
    run = Run(world, world.engine({"a": no}))
    run(listed(*map(str, range(GROUP_ENTRIES + 1))))

    assert [64, 1] == [len(group) for group in run.groups]


def test_heavy_pictures_are_a_group_of_their_own(world, yes, listed, monkeypatch):
    monkeypatch.setattr(runner_module, "GROUP_BYTES", 2 * len(PICTURE) - 200)
    run = Run(world, world.engine({"a": yes}))
    run(listed("1", "2", "3"))

    assert [["[cam/1]", "[cam/2]"], ["[cam/3]"]] == run.groups


def test_a_candidate_waits_for_others_but_not_for_long(world, listed):
    run = Run(world, world.engine({"a": odd_ones}))
    later = lambda: world.clock.advance(GROUP_AGE_S)  # noqa: E731 - a step between two frames
    run(listed("2", later, "4", "1", "6", later, "3", "8"))

    assert [["cam/2", "cam/4", "[cam/1]"], ["cam/6", "[cam/3]"], ["cam/8"]] == run.groups


def test_a_candidate_does_not_wait_behind_frames_that_leave_nothing(world, listed):
    committed = []
    run = Run(world, world.engine({"a": odd_ones}))
    later = lambda: world.clock.advance(GROUP_AGE_S)  # noqa: E731 - a step between two frames
    look = lambda: committed.append(len(world.spool.groups))  # noqa: E731 - likewise
    run(listed("1", look, later, "2", look, asks=False))

    assert [0, 1] == committed


def test_a_live_source_does_not_ask_and_its_rejected_frames_leave_nothing(world, listed):
    run = Run(world, world.engine({"a": odd_ones}))
    run(listed("1", "2", asks=False))
    [[candidate]] = world.spool.groups

    assert [] == run.asked
    assert FrameKey(source="cam", frame_id="cam/1", size=0, mtime_ns=0) == candidate.key


def test_what_an_earlier_run_has_dealt_with_is_skipped_and_shown_as_progress(world, listed):
    run = Run(world, world.engine({"a": odd_ones}), seen=["cam/1", "cam/2"])
    source = listed("1", "2", "3")
    run(source)
    counts = world.tally.counts({})

    assert ["cam/1", "cam/2", "cam/3"] == [key.frame_id for key in run.asked]
    assert ["cam/3"] == source.asked_for_prediction
    assert ["cam"] * 3 == run.progressed
    assert (2, 1, 1) == (counts.skipped, counts.offered, counts.accepted)


def test_the_key_that_was_asked_about_is_remembered(world, listed):
    run = Run(world, world.engine({"a": odd_ones}))
    run(listed("1", "2"))

    assert run.asked == [entry.key for group in world.spool.groups for entry in group]


def test_one_bad_frame_never_stops_a_run(world, yes, context, listed, nan_detections):
    faults = {
        "cam/error": PredictionError("the model saw nothing"),
        "cam/crash": RuntimeError("CUDA out of memory"),
        "cam/nan": nan_detections,
        "cam/strange": object(),
    }
    pictures = {"text": b"hello", "cut": PICTURE[:-100]}
    run = Run(world, world.engine({"a": yes}), predictor=Model(context, faults))
    names = ["1", "error", "text", "crash", "cut", "nan", "strange", "3"]

    assert {} == run(listed(*names, pictures=pictures))

    counts = world.tally.counts({})

    assert ["cam/1", "cam/3"] == [datapoint.frame_id for datapoint in world.spool.datapoints]
    assert {"invalid_prediction": 3, "invalid_image": 2, "failed": 1} == counts.dropped
    assert {
        "cam/error": "invalid_prediction",
        "cam/text": "invalid_image",
        "cam/cut": "invalid_image",
        "cam/nan": "invalid_prediction",
        "cam/strange": "invalid_prediction",
    } == outcomes(world)
    assert 8 == counts.offered == len(run.progressed)
    assert 0 == world.unbalanced() == counts.queued
    beginnings = [
        "frame 'cam/error': the model saw nothing",
        "frame 'cam/text': the image is not a picture that can be read",
        "frame 'cam/crash': predictor 'test' failed with RuntimeError: CUDA out of memory: repair",
        "frame 'cam/cut': the image is truncated",
        "frame 'cam/nan': row 0 of the prediction's confidence is nan",
        "frame 'cam/strange': no adapter accepts a prediction of type 'builtins.object'",
    ]

    assert beginnings == [
        text[: len(start)] for (text, _), start in zip(world.reports, beginnings, strict=True)
    ]


def test_a_frame_that_a_bug_has_cost_is_tried_again(world, yes, context, listed):
    model = Model(context, {"cam/1": RuntimeError("boom")})
    run = Run(world, world.engine({"a": yes}), predictor=model)
    run(listed("1"))

    assert [] == world.spool.groups
    assert {"failed": 1} == world.tally.counts({}).dropped
    [(_, exc)] = world.reports
    assert isinstance(exc, RuntimeError)


def test_an_adapters_bug_never_stops_a_run(world, yes, context, listed):
    class Wrong(Halves):
        def adapt(self, document, *, frame, prediction_type):
            return {"boxes": []}

    adapters = [("wrong", Wrong(Options(), context))]
    run = Run(world, world.engine({"a": yes}, adapters=adapters))
    run(listed("1", "2", recorded={"cam/1": "halves"}))

    assert ["cam/2"] == [datapoint.frame_id for datapoint in world.spool.datapoints]
    assert {"failed": 1} == world.tally.counts({}).dropped


def test_recorded_predictions_are_asked_for_only_without_a_predictor(world, yes, context, listed):
    with_model, without = listed("1"), listed("2", recorded={"cam/2": PredictionError("cut off")})
    Run(world, world.engine({"a": yes}), predictor=Model(context, {}))(with_model)
    Run(world, world.engine({"a": yes}))(without)

    assert [] == with_model.asked_for_prediction
    assert ["cam/2"] == without.asked_for_prediction
    assert {"cam/2": "invalid_prediction"} == outcomes(world)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SourceError("the stream was refused"), "the stream was refused"),
        (
            OSError("no such device"),
            "it stopped with OSError: no such device: repair that, then run again to go on",
        ),
    ],
)
def test_a_source_that_breaks_is_reported_and_the_next_has_its_turn(
    world, yes, listed, error, reason
):
    run = Run(world, world.engine({"a": yes}))
    broken = run(listed("1", error, "2", source="north"), listed("3", source="south"))

    assert {"north": reason} == broken
    assert [["[north/1]"], ["[south/3]"]] == run.groups
    assert ["north", "south"] == run.progressed


def test_crops_are_committed_before_their_frame_counts_as_split(world, context, listed):
    engine = world.engine(
        {"a": lambda frame, _: Verdict(match=frame.frame_id.endswith("left"))},
        adapters=[("halves", Halves(Options(), context))],
    )
    run = Run(world, engine)
    run(listed("1", recorded={"cam/1": "halves"}))
    counts = world.tally.counts({})

    assert [["[cam/1#left]", "cam/1"]] == run.groups
    assert {"cam/1": "split"} == outcomes(world)
    assert (2, 1, 1) == (counts.offered, counts.accepted, counts.not_selected)
    assert 0 == world.unbalanced()


def test_a_stopped_run_commits_what_it_has_and_asks_no_more(world, yes, listed):
    run = Run(world, world.engine({"a": yes}))
    first = listed("1", run.stop.set, "2", "3", source="north")
    second = listed("4", source="south")

    assert {} == run(first, second)
    assert [["[north/1]", "[north/2]"]] == run.groups
    assert [] == second.asked_for_prediction
    assert 0 == world.tally.counts({}).queued


def test_an_interrupt_commits_the_frames_at_hand(world, yes, listed):
    def interrupt():
        raise KeyboardInterrupt

    run = Run(world, world.engine({"a": yes}))

    with pytest.raises(KeyboardInterrupt):
        run(listed("1", interrupt))

    assert [["[cam/1]"]] == run.groups


def test_a_full_spool_is_waited_for(world, listed):
    run = Run(world, world.engine({"a": odd_ones}), rooms=[True, True])
    full = SpoolFullError("spool 'x': it is full")
    both, one = full, full  # a part of the group may have room
    world.spool.errors = [both, one, both, one, None]

    assert {} == run(listed("1", "2"))
    assert [] == run.waiting
    assert [["[cam/1]", "cam/2"]] == run.groups
    assert 1 == world.tally.counts({}).accepted


def test_what_there_is_room_for_is_taken_before_the_rest_is_waited_for(world, yes, listed):
    run = Run(world, world.engine({"a": yes}), rooms=[True])
    full = SpoolFullError("spool 'x': it is full")
    world.spool.errors = [full, None, full, full, None]

    assert {} == run(listed("1", "2", "3", "4"))
    assert [] == run.waiting
    assert [["[cam/1]", "[cam/2]"], ["[cam/3]", "[cam/4]"]] == run.groups
    assert 4 == world.tally.counts({}).accepted
    assert 0 == world.unbalanced()


@pytest.mark.parametrize(
    ("error", "reason", "rooms"),
    [
        (SpoolFullError("spool 'x': it is full"), "spool_full", [True, False]),
        (SpoolDiskFullError("spool 'x': no room"), "disk_full", [True, False]),
        (SpoolError("spool 'x': it is gone"), "spool_error", []),
        (TypeError("a bug"), "spool_error", []),
    ],
)
def test_a_spool_that_takes_nothing_ends_the_run_with_counts_right_and_nothing_seen(
    *, world, listed, error, reason, rooms
):
    run = Run(world, world.engine({"a": odd_ones}), rooms=rooms)
    world.spool.errors = [error] * 10

    with pytest.raises(type(error), match=str(error)):
        run(listed("1", "2", "3"), listed("4", source="south"))

    counts = world.tally.counts({})

    assert [] == run.groups
    assert ["cam"] * 3 == run.progressed
    assert (3, 0, 0, 1, {reason: 2}) == (
        counts.offered,
        counts.accepted,
        counts.queued,
        counts.not_selected,
        counts.dropped,
    )
    assert 0 == world.unbalanced()


def test_a_spool_that_fills_up_in_the_middle_of_a_source_ends_the_run(world, yes, listed):
    run = Run(world, world.engine({"a": yes}), rooms=[False])
    world.spool.errors = [SpoolFullError("spool 'x': it is full")] * 10

    with pytest.raises(SpoolFullError, match="it is full"):
        run(listed(*map(str, range(40))))

    assert [] == run.groups
    assert {"spool_full": GROUP_ITEMS} == world.tally.counts({}).dropped
    assert 0 == world.unbalanced()


def test_a_spool_that_cannot_say_what_it_has_seen_is_not_the_sources_fault(world, yes, listed):
    def broken(key):
        raise SpoolError("spool 'x': disk I/O error")

    run = Run(world, world.engine({"a": yes}))
    run.runner._seen = broken

    with pytest.raises(SpoolError, match="disk I/O error"):
        run(listed("1"))


def test_flushing_nothing_asks_the_spool_nothing(world, yes):
    run = Run(world, world.engine({"a": yes}))
    run.runner.flush()

    assert [] == run.groups


def test_a_second_run_over_a_real_spool_takes_nothing_twice(world, listed, tmp_path):
    engine = world.engine({"a": odd_ones})
    directory = tmp_path / "spool"
    ledger = SqliteLedger({}, scope="test")
    pictures = {"5": b"no picture"}
    with Spool(
        directory,
        sinks=["local"],
        ledger=ledger,
        clock=world.clock,
        limits=SpoolLimits(min_free_bytes=0),
    ) as spool:
        engine._acceptor = spool
        for _ in range(2):
            Runner(
                engine=engine,
                predictor=None,
                seen=spool.seen,
                wait_for_room=lambda: False,
                clock=world.clock,
            ).run(
                [BoundSource(name="cam", source=listed("1", "2", "5", pictures=pictures))],
                stop=threading.Event(),
                progress=lambda _: None,
            )
        counts = world.tally.counts({})
        found = {name: spool.find(f"cam/{name}")[0].outcome for name in "125"}

    assert {"1": "accepted", "2": "not_selected", "5": "invalid_image"} == found
    assert (3, 3, 1) == (counts.offered, counts.skipped, counts.accepted)


@pytest.mark.parametrize(("again", "ends"), [(False, (1, 1)), (True, (2, 0))])
def test_two_runs_at_the_same_time_take_a_frame_once_unless_told_otherwise(
    world, listed, tmp_path, again, ends
):
    engine = world.engine({"a": odd_ones})
    with Spool(
        tmp_path / "spool",
        sinks=["local"],
        ledger=SqliteLedger({}, scope="test"),
        clock=world.clock,
        limits=SpoolLimits(min_free_bytes=0),
    ) as spool:
        engine._acceptor = spool

        def run(*names):
            Runner(
                engine=engine,
                predictor=None,
                seen=None if again else spool.seen,
                wait_for_room=lambda: False,
                clock=world.clock,
            ).run(
                [BoundSource(name="cam", source=listed(*names))],
                stop=threading.Event(),
                progress=lambda _: None,
            )

        # The other run overtakes this one, which has both frames in hand.
        run("1", "2", lambda: run("1", "2"))
        counts = world.tally.counts({})

    assert ends == (counts.accepted, counts.dropped.get("seen_meanwhile", 0))
    assert (4, 2, 0) == (counts.offered, counts.not_selected, counts.queued)


def test_a_rejection_with_numbers_of_numpy_is_written_to_a_real_spool(world, listed, tmp_path):
    engine = world.engine({"a": Verdict(match=np.bool_(False), utility=np.float32(0.5))})
    with Spool(
        tmp_path / "spool",
        sinks=["local"],
        ledger=SqliteLedger({}, scope="test"),
        clock=world.clock,
        limits=SpoolLimits(min_free_bytes=0),
    ) as spool:
        engine._acceptor = spool
        run = Run(world, engine)
        run(listed("1"))
        [found] = spool.find("cam/1")

    assert "not_selected" == found.outcome
    assert found.detail["verdicts"][0]["match"] is False
