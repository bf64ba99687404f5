"""The word `return` is missing."""

from al_framework.api import PredictionAdapter, hookimpl


class Bad(PredictionAdapter):
    type_name = "adapts_to_nothing"

    def accepts(self, document):
        return True

    def adapt(self, document, *, frame, prediction_type):
        return None


@hookimpl
def al_register_prediction_adapters():
    return [Bad]
