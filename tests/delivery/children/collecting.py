"""A collector with the built-in adapters and strategies, and components of a child's own."""

import al_framework_adapters
import al_framework_roboflow
from al_framework import Collector
from al_framework.assembly import assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.testing import make_host

ALL = {"name": "all", "type": "random", "traffic_percentage": 1.0}


def collector(directory, *components, sink, strategy=ALL, **more):
    """Collect for one sink by one strategy, with the spool in a directory."""
    host = make_host(*components, adapters=al_framework_adapters, roboflow=al_framework_roboflow)
    document = {
        "name": "line",
        "active_learning": {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": [strategy],
            "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
        },
        "sinks": [{"type": sink}],
        "spool": {"path": str(directory), "min_free_bytes": 0},
        **more,
    }
    configuration = load_configuration(read_document(document), host, environ={})
    return Collector(assemble(configuration, host, environ={}))
