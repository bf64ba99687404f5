"""Its model does not fit the frames."""

from al_framework.api import Predictor, hookimpl


class Bad(Predictor):
    type_name = "raises_in_predict"

    def predict(self, frame):
        raise RuntimeError("no memory")


@hookimpl
def al_register_predictors():
    return [Bad]
