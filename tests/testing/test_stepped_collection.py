"""A whole collection, one step at a time."""

import numpy as np
import pytest

from al_framework.api import ConfigurationError
from al_framework.testing import FakeClock
from al_framework.testing.collection import SteppedCollection, stepped_collections

EVERYTHING = {"name": "all", "type": "random", "traffic_percentage": 1.0}


def configuration(**changes):
    return {
        "active_learning": {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": [{**EVERYTHING, "limits": [{"type": "hourly", "value": 1}]}],
            "batching_strategy": {"batches_name_prefix": "b", "recreation_interval": "never"},
        },
        "sinks": [{"type": "null"}],
        **changes,
    }


def picture(height=20):
    return np.zeros((height, 30, 3), np.uint8)


def test_frames_go_through_all_stages_and_are_delivered():
    clock = FakeClock()
    with stepped_collections()(configuration(), clock=clock) as collection:
        said = [collection.submit(picture()) for _ in range(2)]
        collection.deliver()
        collection.set_time(clock.time() + 3600)
        said.append(collection.submit(picture()))

    assert said == ["accepted", "limited", "accepted"]


def test_a_bad_frame_is_told():
    with SteppedCollection(configuration(), clock=FakeClock()) as collection:
        outside = {"predictions": [{"class": "a", "confidence": 1, "x": 900, "y": 9}]}
        outside["predictions"][0] |= {"width": 2, "height": 2}

        assert collection.submit(picture(), {"predictions": 5}) == "invalid"
        assert collection.submit(picture(), outside) == "invalid"


def test_no_crops_are_nothing_selected():
    with SteppedCollection(configuration(), clock=FakeClock()) as collection:
        assert collection.submit(picture(), {"crops": []}) == "not_selected"


def test_faults_are_told_as_ever():
    with pytest.raises(ConfigurationError, match="sinks"):
        SteppedCollection(configuration(sinks=[{"type": "nowhere"}]), clock=FakeClock())


def test_a_sink_that_never_gets_there_is_told(monkeypatch):
    monkeypatch.setattr("al_framework.testing.collection._MAX_ROUNDS", 2)
    sink = {"type": "roboflow", "api_key": "k", "project": "p", "api_url": "http://127.0.0.1:9"}
    collection = SteppedCollection(configuration(sinks=[sink]), clock=FakeClock())
    collection.submit(picture())
    with pytest.raises(TimeoutError, match="some datapoint is neither delivered nor given up"):
        collection.deliver()
    collection.close()
