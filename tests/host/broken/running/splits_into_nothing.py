"""It takes frames apart and yields none."""

from al_framework.api import PredictionAdapter, Unlabelled, hookimpl


class Bad(PredictionAdapter):
    type_name = "splits_into_nothing"

    def accepts(self, document):
        return True

    def split(self, document, *, frame):
        return None

    def adapt(self, document, *, frame, prediction_type):
        return Unlabelled(prediction_type="")


@hookimpl
def al_register_prediction_adapters():
    return [Bad]
