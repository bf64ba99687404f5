"""Whatever is passed to `submit`, it returns a ticket and the collector goes on."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from al_framework.api import (
    Detections,
)
from al_framework.testing import sample_jpeg, sample_pixels

LONG_S = 60.0
ALL = {"name": "all", "type": "random", "traffic_percentage": 1.0}
UNSURE = {
    "name": "unsure",
    "type": "close_to_threshold",
    "threshold": 0.5,
    "epsilon": 0.1,
    "probability": 1.0,
}


class Hostile:
    """Raises whatever is asked of it."""

    def __getattr__(self, name):
        if name.startswith("_repr_"):  # hypothesis looks for it to print an example
            raise AttributeError(name)
        raise RuntimeError(name)

    def __repr__(self):
        return "Hostile()"

    def __str__(self):
        raise RuntimeError("str")

    __bool__ = __len__ = __iter__ = __float__ = __str__

    def __hash__(self):
        raise RuntimeError("hash")

    def __eq__(self, other):
        raise RuntimeError("eq")


def test_a_name_that_is_none_is_replaced(collect):
    collector = collect()
    named: Any = Hostile()
    ticket = collector.submit(sample_jpeg(), frame_id=named, wait_accepted_s=LONG_S)

    assert ticket.status == "accepted"
    assert ticket.frame_id.startswith(collector._assembly.run.run_id)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8)  # lone surrogates, too
    | st.binary(max_size=64)
    | st.builds(Hostile)
    | st.sampled_from([object, len, ..., np.float32(1), np.array([1, 2])])
)


KEYS = st.sampled_from(["predictions", "image", "width", "x", "class", "top", "is_stub", "a"])


THINGS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


IMAGES = st.sampled_from([sample_jpeg(), sample_jpeg()[:300], sample_pixels()]) | THINGS


ARRAYS = st.sampled_from(
    [np.zeros(0), np.zeros(1), np.zeros((1, 4)), np.full((1, 4), np.nan), np.zeros((2, 4), "f4")]
)


PREDICTIONS = THINGS | st.builds(
    Detections,
    xyxy=ARRAYS | THINGS,
    confidence=ARRAYS | THINGS,
    class_name=st.sampled_from([(), ("cat",), None]),
    class_id=ARRAYS | THINGS,
    image_size=st.sampled_from([(64, 48), (0, 0), None, "x"]),
    prediction_type=THINGS,
    data=st.sampled_from([{}, {"a": [1]}, {"a": [object()]}, None]),
    document=THINGS,
)


OTHERS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (
            "frame_id",
            "captured_at",
            "prediction_type",
            "model_id",
            "inference_id",
            "attributes",
            "color",
            "owned",
        ),
        THINGS,
    ),
)


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(image=IMAGES, prediction=PREDICTIONS, others=OTHERS)
def test_submit_never_raises(shared, image, prediction, others):
    ticket = shared.submit(image, prediction, **others)

    assert ticket.status in {"queued", "not_selected", "limited", "invalid", "dropped"}
    assert isinstance(ticket.frame_id, str)


@pytest.fixture
def shared(collect, settle, check_sums):
    """One collector for many examples; afterwards it must still work and its numbers add up."""
    collector = collect(ALL, UNSURE)
    yield collector
    settle(collector)
    counts = collector.stats()
    check_sums(counts)
    assert counts.queued == 0
    assert "spool_error" not in counts.dropped
    assert collector.submit(sample_jpeg(seed=77), wait_accepted_s=LONG_S).status == "accepted"
