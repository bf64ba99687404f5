from typing import ClassVar

import jsonschema
import pytest

from al_framework.api import ConfigurationError, Strategy, hookimpl
from al_framework.config.components import ComponentChecker
from al_framework.config.faults import FaultLog
from al_framework.config.loading import load_configuration, read_document
from al_framework.config.schema import build_schema
from al_framework.host.plugins import PluginHost

DETECTIONS = frozenset(
    {"object-detection", "instance-segmentation", "keypoint-detection", "keypoints-detection"}
)
CLASSIFICATION = frozenset({"classification"})
AT = "active_learning.sampling_strategies[0]"


class Asked(Strategy):
    def evaluate(self, frame, prediction):
        raise NotImplementedError


class Anything(Asked):
    type_name = "anything"


class Classes(Asked):
    type_name = "classes"
    tasks: ClassVar = CLASSIFICATION
    also_reads: ClassVar = DETECTIONS


class Boxes(Asked):
    type_name = "boxes"
    tasks: ClassVar = frozenset({"object-detection", "ocr"})


class Letters(Asked):
    type_name = "letters"
    tasks: ClassVar = frozenset({"ocr"})


class Plugin:
    @hookimpl
    def al_register_strategies(self):
        return [Anything, Classes, Boxes, Letters]


@pytest.fixture(scope="module")
def reading_host():
    return PluginHost.without_discovery({"reading": Plugin()})


def document(kind, **changes):
    strategies = [{"name": "s", "type": kind, **changes}]
    return {
        "active_learning": {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": strategies,
            "batching_strategy": {"batches_name_prefix": "b", "recreation_interval": "never"},
        },
        "sinks": [{"type": "none"}],
    }


@pytest.fixture
def faults_with(reading_host):
    def run(kind, **changes):
        with pytest.raises(ConfigurationError) as caught:
            load_configuration(read_document(document(kind, **changes)), reading_host)
        return [str(fault) for fault in caught.value.faults if "sinks" not in str(fault)]

    return run


@pytest.fixture
def tasks_with(reading_host):
    def run(kind, **changes):
        source = read_document(document(kind, **changes))
        log = FaultLog(source)
        checker = ComponentChecker(reading_host, base_dir=source.base_dir, log=log)
        entry = {"name": "s", "type": kind, **changes}
        strategy = checker.strategy(entry, entry, ())
        assert not len(log)
        return strategy.tasks

    return run


@pytest.mark.parametrize(
    ("kind", "changes", "tasks"),
    [
        ("anything", {}, None),
        ("anything", {"applies_to": None}, None),
        ("anything", {"applies_to": ["detections"]}, DETECTIONS),
        ("anything", {"applies_to": ["classification", "detections"]}, CLASSIFICATION | DETECTIONS),
        ("classes", {}, CLASSIFICATION),
        ("classes", {"applies_to": ["detections"]}, DETECTIONS),
        ("classes", {"applies_to": ["detections", "classification"]}, DETECTIONS | CLASSIFICATION),
        ("boxes", {}, frozenset({"object-detection", "ocr"})),
        ("boxes", {"applies_to": ["detections"]}, frozenset({"object-detection"})),
        ("letters", {}, frozenset({"ocr"})),
    ],
)
def test_what_a_strategy_is_asked_about(tasks_with, kind, changes, tasks):
    assert tasks == tasks_with(kind, **changes)


@pytest.mark.parametrize(
    ("kind", "applies_to", "fault"),
    [
        (
            "boxes",
            ["detections", "classification"],
            (
                "applies_to[1]: 'classification' is nothing that the strategy reads: it can read "
                "'detections' (strategy type 'boxes', plugin 'reading')"
            ),
        ),
        (
            "letters",
            ["detections"],
            (
                "applies_to[0]: 'detections' is nothing that the strategy reads: leave "
                "`applies_to` out (strategy type 'letters', plugin 'reading')"
            ),
        ),
        (
            "anything",
            [],
            "applies_to: is empty: name what the strategy is asked about, or leave it out",
        ),
        (
            "anything",
            ["boxes"],
            "applies_to[0]: should be 'detections' or 'classification', not 'boxes'",
        ),
        ("anything", "detections", "applies_to: should be a list, not 'detections'"),
        (
            "anything",
            ["detection"],
            (
                "applies_to[0]: should be 'detections' or 'classification' "
                "(did you mean 'detections'?), not 'detection'"
            ),
        ),
    ],
)
def test_what_a_strategy_cannot_be_asked_about(faults_with, kind, applies_to, fault):
    assert [f"{AT}.{fault}"] == faults_with(kind, applies_to=applies_to)


@pytest.mark.parametrize(
    ("applies_to", "valid"),
    [
        (["detections"], True),
        (["classification", "detections"], True),
        (None, True),
        ([], False),
        (["boxes"], False),
        ("detections", False),
    ],
)
def test_the_schema_says_so_too(reading_host, applies_to, valid):
    schema = build_schema(reading_host)
    strategy = {
        "$schema": schema["$schema"],
        "$defs": schema["$defs"],
        "$ref": "#/$defs/strategy_classes",
    }
    validator = jsonschema.Draft202012Validator(strategy)

    assert valid == validator.is_valid({"name": "s", "type": "classes", "applies_to": applies_to})
