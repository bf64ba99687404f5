"""Every frame is too much for it."""

from al_framework.api import Strategy, hookimpl


class Bad(Strategy):
    type_name = "raises_in_evaluate"

    def evaluate(self, frame, prediction):
        raise ZeroDivisionError("no boxes")


@hookimpl
def al_register_strategies():
    return [Bad]
