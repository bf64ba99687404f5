import al_framework_roboflow
from al_framework.api import (
    ConfigurationProvider,
    PredictionAdapter,
    Predictor,
    Sink,
    Strategy,
)

REGISTERED = {
    "al_register_strategies": (
        Strategy,
        ["classes_based", "close_to_threshold", "detections_number_based", "random"],
    ),
    "al_register_prediction_adapters": (PredictionAdapter, ["roboflow_crops", "roboflow_response"]),
    "al_register_sinks": (Sink, ["roboflow"]),
    "al_register_configuration_providers": (ConfigurationProvider, ["roboflow"]),
    "al_register_predictors": (Predictor, ["roboflow_inference"]),
}


def test_the_plugin_registers_its_components():
    for hook, (kind, names) in REGISTERED.items():
        found = getattr(al_framework_roboflow, hook)()
        assert names == [component.type_name for component in found]
        assert all(issubclass(component, kind) for component in found)
