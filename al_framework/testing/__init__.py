"""Contract tests and fakes for plugin authors: what a component must do, and what to test it with.

Needs the extra ``testing``. Nothing here is a pytest plugin: import what you use.
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
from al_framework.testing.samples import (
    freeze,
    sample_datapoint,
    sample_decision,
    sample_detections,
    sample_predictions,
    sample_summary,
)

__all__ = [
    "AdapterContract",
    "Answer",
    "ComponentContract",
    "ConfigurationProviderContract",
    "FakeCheckpoint",
    "FakeClock",
    "FaultServer",
    "NetworkSinkContract",
    "PredictorContract",
    "Request",
    "SinkContract",
    "SourceContract",
    "StrategyContract",
    "freeze",
    "make_context",
    "sample_datapoint",
    "sample_decision",
    "sample_detections",
    "sample_frame",
    "sample_jpeg",
    "sample_pixels",
    "sample_predictions",
    "sample_summary",
]
