"""A bad frame, an adapter's bug or a source that breaks never stops a run."""

import pytest

from al_framework.api import Options, PredictionError, Predictor, SourceError, SpoolError
from al_framework.pipeline.spool import Candidate
from al_framework.testing import sample_detections, sample_jpeg

PICTURE = sample_jpeg()


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


def outcomes(world):
    return {
        entry.key.frame_id: entry.outcome
        for group in world.spool.groups
        for entry in group
        if not isinstance(entry, Candidate)
    }


def test_one_bad_frame_never_stops_a_run(*, world, yes, context, listed, nan_detections, new_run):
    faults = {
        "cam/error": PredictionError("the model saw nothing"),
        "cam/crash": RuntimeError("CUDA out of memory"),
        "cam/nan": nan_detections,
        "cam/strange": object(),
    }
    pictures = {"text": b"hello", "cut": PICTURE[:-100]}
    run = new_run(world.engine({"a": yes}), predictor=Model(context, faults))
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


def test_a_frame_that_a_bug_has_cost_is_tried_again(world, yes, context, listed, new_run):
    model = Model(context, {"cam/1": RuntimeError("boom")})
    run = new_run(world.engine({"a": yes}), predictor=model)
    run(listed("1"))

    assert [] == world.spool.groups
    assert {"failed": 1} == world.tally.counts({}).dropped
    [(_, exc)] = world.reports
    assert isinstance(exc, RuntimeError)


def test_an_adapters_bug_never_stops_a_run(*, world, yes, context, listed, halves, new_run):
    class Wrong(halves):
        def adapt(self, document, *, frame, prediction_type):
            return {"boxes": []}

    adapters = [("wrong", Wrong(Options(), context))]
    run = new_run(world.engine({"a": yes}, adapters=adapters))
    run(listed("1", "2", recorded={"cam/1": "halves"}))

    assert ["cam/2"] == [datapoint.frame_id for datapoint in world.spool.datapoints]
    assert {"failed": 1} == world.tally.counts({}).dropped


def test_recorded_predictions_are_asked_for_only_without_a_predictor(
    world, yes, context, listed, new_run
):
    with_model, without = listed("1"), listed("2", recorded={"cam/2": PredictionError("cut off")})
    new_run(world.engine({"a": yes}), predictor=Model(context, {}))(with_model)
    new_run(world.engine({"a": yes}))(without)

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
    *, world, yes, listed, error, reason, new_run
):
    run = new_run(world.engine({"a": yes}))
    broken = run(listed("1", error, "2", source="north"), listed("3", source="south"))

    assert {"north": reason} == broken
    assert [["[north/1]"], ["[south/3]"]] == run.groups
    assert ["north", "south"] == run.progressed


def test_a_spool_that_cannot_say_what_it_has_seen_is_not_the_sources_fault(
    world, yes, listed, new_run
):
    def broken(key):
        raise SpoolError("spool 'x': disk I/O error")

    run = new_run(world.engine({"a": yes}))
    run.runner._seen = broken

    with pytest.raises(SpoolError, match="disk I/O error"):
        run(listed("1"))
