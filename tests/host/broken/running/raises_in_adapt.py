"""It reads no prediction."""

from al_framework.api import PredictionAdapter, hookimpl


class Bad(PredictionAdapter):
    type_name = "raises_in_adapt"

    def accepts(self, document):
        return True

    def adapt(self, document, *, frame, prediction_type):
        raise IndexError("no rows")


@hookimpl
def al_register_prediction_adapters():
    return [Bad]
