import dataclasses

import numpy as np
import pytest

from al_framework.api import Options, PredictionAdapter, PredictionError, Scores, Verdict
from al_framework.pipeline.adaptation import Adaptation
from al_framework.pipeline.glancing import Glance
from al_framework.testing import sample_detections, sample_frame

FOUND = sample_detections()
SCORES = Scores(FOUND.class_name, FOUND.confidence.copy(), "object-detection", "m/1", "i-1")


class Glancing(PredictionAdapter):
    """Tells scores at once, and notes when all of it is read."""

    type_name = "glancing"

    def __init__(self, options, context, *, scores=SCORES, error=None):
        super().__init__(options, context)
        self.read = []
        self._scores, self._error = scores, error

    def accepts(self, document):
        return isinstance(document, dict)

    def scores(self, document, *, prediction_type):
        return self._scores

    def adapt(self, document, *, frame, prediction_type):
        self.read.append(frame.frame_id)
        if self._error is not None:
            raise self._error
        return dataclasses.replace(FOUND, document=document, model_id="m/1", inference_id="i-1")


def offered(world, adapter, answer, *, scores_only=True, **options):
    traits = {"scores_only": scores_only}
    engine = world.engine({"a": (answer, traits)}, adapters=[("glancing", adapter)], **options)
    [offer] = engine.offer(sample_frame(), {"a": 1}, keep=lambda *kept: kept)
    assert 0 == world.unbalanced()
    return offer


@pytest.fixture
def adapter(context):
    return Glancing(Options(), context)


def test_a_frame_that_nobody_takes_is_read_no_further_than_its_scores(world, no, adapter):
    offer = offered(world, adapter, no)

    assert "not_selected" == offer.status
    assert [] == adapter.read


def test_a_frame_whose_limit_is_spent_is_read_no_further(world, yes, adapter, monkeypatch):
    monkeypatch.setattr("al_framework.pipeline.limits.memory.MemoryLedger.peek", lambda *_: None)
    offer = offered(world, adapter, yes)

    assert "limited" == offer.status
    assert [] == adapter.read


def test_a_frame_that_is_taken_is_read_whole_and_once(world, yes, adapter):
    pending = offered(world, adapter, yes)

    assert type(pending.prediction) is type(FOUND)
    assert {"a": 1} == pending.prediction.document
    assert ("m/1", "i-1") == (pending.model_id, pending.inference_id)
    assert ["frame-1"] == adapter.read


def test_a_strategy_that_looks_at_boxes_has_every_frame_read(world, adapter):
    seen = []

    def look(frame, prediction):
        seen.append(type(prediction))
        return Verdict(match=False)

    offered(world, adapter, look, scores_only=False)

    assert ["frame-1"] == adapter.read
    assert Glance not in seen


@pytest.mark.parametrize("scores_only", [True, False])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PredictionError("predictions[0].x is missing"), "predictions[0].x is missing"),
        (
            ValueError("boom"),
            "adapter 'glancing' failed with ValueError: boom: repair or update its plugin",
        ),
        (
            SystemExit(3),
            "adapter 'glancing' failed with SystemExit: 3: repair or update its plugin",
        ),
    ],
)
def test_what_is_wrong_with_the_rest_costs_the_frame_and_no_strategy(
    *, world, yes, context, error, text, scores_only
):
    adapter = Glancing(Options(), context, error=error)
    offer = offered(world, adapter, yes, scores_only=scores_only)

    assert ("invalid", text) == (offer.status, offer.reason)
    assert 0 == world.tally.counts({}).strategies["a"].failed


@pytest.mark.parametrize(
    "scores",
    [
        None,
        SCORES._replace(class_name=("one", "two", "three", "four")),
        SCORES._replace(confidence=np.array([np.nan] * len(FOUND))),
        SCORES._replace(confidence=FOUND.confidence.astype(np.float32)),
        SCORES._replace(confidence=FOUND.confidence.tolist()),
        SCORES._replace(confidence=np.zeros(10_001), class_name=("a",) * 10_001),
    ],
    ids=["none", "ragged", "nan", "float32", "list", "many"],
)
def test_scores_that_cannot_be_used_are_no_scores(context, scores):
    adapter = Glancing(Options(), context, scores=scores)
    adaptation = Adaptation([("glancing", adapter)], fixed=True)
    [(_, prediction)] = adaptation.read({"a": 1}, sample_frame(), None)

    assert type(FOUND) is type(prediction)
    assert ["frame-1"] == adapter.read


@pytest.fixture
def glance(adapter):
    [(_, found)] = Adaptation([("glancing", adapter)], fixed=True).read({}, sample_frame(), None)
    return found


def test_a_field_that_is_asked_for_is_read(glance, adapter):
    assert FOUND.xyxy.tolist() == glance.xyxy.tolist()
    assert {} == glance.document
    assert ["frame-1"] == adapter.read


def test_a_copy_of_a_glance_is_whole(glance):
    copied = dataclasses.replace(glance, model_id="other")

    assert copied is Adaptation.complete(copied)
    assert FOUND.xyxy.tolist() == copied.xyxy.tolist()
    assert FOUND.image_size == copied.image_size


def test_what_detections_do_not_have_a_glance_has_not(glance):
    with pytest.raises(AttributeError, match="_nothing"):
        glance._nothing  # noqa: B018 - asked for on purpose


def test_no_strategy_can_write_to_the_scores(glance):
    with pytest.raises(ValueError, match="read-only"):
        glance.confidence[0] = 0.0

    assert SCORES.confidence.flags.writeable
