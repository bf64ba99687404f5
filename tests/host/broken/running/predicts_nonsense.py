"""What it returns, no adapter reads."""

from al_framework.api import Predictor, hookimpl


class Bad(Predictor):
    type_name = "predicts_nonsense"

    def predict(self, frame):
        return object()


@hookimpl
def al_register_predictors():
    return [Bad]
