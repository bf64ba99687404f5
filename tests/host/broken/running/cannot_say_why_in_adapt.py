"""It reads no prediction, and its error has no text."""

from al_framework.api import PredictionAdapter, hookimpl


class MuteError(Exception):
    def __str__(self):
        raise ZeroDivisionError("nothing to say")


class Bad(PredictionAdapter):
    type_name = "cannot_say_why_in_adapt"

    def accepts(self, document):
        return True

    def adapt(self, document, *, frame, prediction_type):
        raise MuteError


@hookimpl
def al_register_prediction_adapters():
    return [Bad]
