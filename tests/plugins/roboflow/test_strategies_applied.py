"""The strategies, the adapters and ``applies_to`` from a configuration to what is collected."""

import pytest

from al_framework import Collector
from al_framework.api import ConfigurationError
from al_framework.testing import sample_pixels

FOUND = {
    "image": {"width": 64, "height": 48},
    "predictions": [{"x": 20, "y": 10, "width": 8, "height": 4, "confidence": 0.9, "class": "cat"}],
    "prediction_type": "object-detection",
}
TOP = {"top": "cat", "prediction_type": "classification"}
CAT = {"name": "s", "type": "classes_based", "selected_class_names": ["cat"], "probability": 1}


@pytest.fixture
def collect(tmp_path):
    def run(strategy, *predictions):
        configuration = {
            "active_learning": {
                "enabled": True,
                "persist_predictions": True,
                "sampling_strategies": [strategy],
                "batching_strategy": {
                    "batches_name_prefix": "b",
                    "recreation_interval": "never",
                },
            },
            "sinks": [{"type": "null"}],
            "spool": {"path": str(tmp_path / "spool"), "min_free_bytes": 0},
        }
        with Collector.from_config(configuration) as collector:
            return [
                collector.submit(sample_pixels(seed=seed), prediction, wait_accepted_s=30).status
                for seed, prediction in enumerate(predictions)
            ]

    return run


@pytest.mark.parametrize(
    ("more", "statuses"),
    [
        ({}, ["not_selected", "accepted"]),
        ({"applies_to": ["detections"]}, ["accepted", "not_selected"]),
        ({"applies_to": ["detections", "classification"]}, ["accepted", "accepted"]),
    ],
)
def test_classes_are_looked_for_where_applies_to_says(collect, more, statuses):
    assert statuses == collect({**CAT, **more}, FOUND, TOP)


def test_a_group_that_a_strategy_cannot_read_is_a_fault_of_the_document(collect):
    strategy = {
        "name": "s",
        "type": "detections_number_based",
        "probability": 1,
        "applies_to": ["classification"],
    }

    with pytest.raises(
        ConfigurationError,
        match=r"active_learning\.sampling_strategies\[0\]\.applies_to\[0\]: 'classification' is "
        r"nothing that the strategy reads: it can read 'detections'",
    ):
        collect(strategy)


def test_bounds_that_leave_no_number_are_a_fault_of_the_document(collect):
    strategy = {
        "name": "s",
        "type": "detections_number_based",
        "probability": 1,
        "more_than": 3,
        "less_than": 3,
    }

    with pytest.raises(
        ConfigurationError,
        match=r"sampling_strategies\[0\]\.less_than: is 3, and more_than is 3: no number is",
    ):
        collect(strategy)


def test_every_crop_is_a_frame_of_its_own(collect):
    def crop(seed, left):
        place = {"left_top_x": left, "left_top_y": 0, "width": 16, "height": 16}
        return {
            "type": "numpy_object",
            "value": sample_pixels(16, 16, seed=seed),
            "parent_id": f"d-{left}",
            "origin_coordinates": place,
        }

    crops = {"crops": [crop(1, 0), crop(2, 16)], "predictions": [{"top": "dog"}, {"top": "cat"}]}

    assert ["accepted"] == collect(CAT, crops)
