"""Contract tests and fakes for plugin authors: what a component must do, and what to test it with.

Contracts are test classes to inherit, and need pytest (extra ``testing``) when they run. Nothing
here is a pytest plugin: nothing happens unless you import it. Names that are not in ``__all__`` can
change at any time.
"""

from al_framework.testing.contracts import (
    AdapterContract,
    ComponentContract,
    ConfigurationProviderContract,
    NetworkSinkContract,
    PredictorContract,
    SinkContract,
    SourceContract,
    StrategyContract,
)
from al_framework.testing.fakes import (
    FakeCheckpoint,
    FakeClock,
    make_context,
    sample_frame,
    sample_jpeg,
    sample_pixels,
)
from al_framework.testing.fault_server import Answer, FaultServer, Request
from al_framework.testing.frames import hostile_frames, sample_frames
from al_framework.testing.hostile import hostile_datapoints, hostile_predictions
from al_framework.testing.hosting import make_host
from al_framework.testing.samples import (
    freeze,
    sample_datapoint,
    sample_decision,
    sample_detections,
    sample_predictions,
    sample_summary,
)
from al_framework.testing.sinks import MemorySink, ScriptedSink, memory_sink, scripted_sink

__all__ = [
    "AdapterContract",
    "Answer",
    "ComponentContract",
    "ConfigurationProviderContract",
    "FakeCheckpoint",
    "FakeClock",
    "FaultServer",
    "MemorySink",
    "NetworkSinkContract",
    "PredictorContract",
    "Request",
    "ScriptedSink",
    "SinkContract",
    "SourceContract",
    "StrategyContract",
    "freeze",
    "hostile_datapoints",
    "hostile_frames",
    "hostile_predictions",
    "make_context",
    "make_host",
    "memory_sink",
    "sample_datapoint",
    "sample_decision",
    "sample_detections",
    "sample_frame",
    "sample_frames",
    "sample_jpeg",
    "sample_pixels",
    "sample_predictions",
    "sample_summary",
    "scripted_sink",
]
