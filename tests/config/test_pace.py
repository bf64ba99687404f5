"""How fast a sink is given datapoints is said where the sink is, whatever its type."""

import math

import pytest

from al_framework.api import Sink
from al_framework.config.models import SinkEntryModel
from al_framework.config.roboflow_document import StrategyCommonModel
from al_framework.host.checking import RESERVED_OPTIONS, RESERVED_OPTIONS_OF

NULL = {"type": "null"}


def test_a_pace_belongs_to_one_sink(good, load):
    good["sinks"] = [{**NULL, "pace": {"per_s": 2.5, "burst": 5}}, {"type": "shop"}]
    paced, other = load(good).sinks

    assert paced.pace.per_s == 2.5
    assert paced.pace.burst == 5
    assert other.pace is None


def test_a_burst_is_one_unless_it_is_said(good, load):
    good["sinks"] = [{**NULL, "pace": {"per_s": 1}}]

    assert load(good).sinks[0].pace.burst == 1


def test_nothing_is_no_pace(good, load):
    good["sinks"] = [{**NULL, "pace": None}]

    assert load(good).sinks[0].pace is None


@pytest.mark.parametrize(
    ("pace", "fault"),
    [
        (5, "sinks[0].pace: should be a mapping, not 5"),
        ({}, "sinks[0].pace.per_s: is missing"),
        ({"per_s": 0}, "sinks[0].pace.per_s: should be at least 0.0001, not 0"),
        ({"per_s": math.nan}, "sinks[0].pace.per_s: nan is no finite number"),
        ({"per_s": 1e7}, "sinks[0].pace.per_s: should be at most 1000000, not 10000000.0"),
        ({"per_s": 1, "burst": 0}, "sinks[0].pace.burst: should be greater than 0, not 0"),
        ({"per_s": 1, "bursts": 2}, "sinks[0].pace.bursts: unknown key, did you mean 'burst'?"),
    ],
)
def test_a_pace_that_cannot_be_kept_is_a_fault(good, faults_of, pace, fault):
    good["sinks"] = [{**NULL, "pace": pace}]
    [found] = faults_of(good)

    assert found.startswith(fault)


def test_only_sinks_have_one(good, faults_of):
    good["sources"][0]["pace"] = {"per_s": 1}
    [found] = faults_of(good)

    assert found.startswith("sources[0].pace: unknown key")


def test_no_plugin_can_have_an_option_of_that_name():
    assert set(StrategyCommonModel.model_fields) <= RESERVED_OPTIONS
    assert set(SinkEntryModel.model_fields) <= RESERVED_OPTIONS | RESERVED_OPTIONS_OF[Sink]
