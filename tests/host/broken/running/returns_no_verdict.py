"""True is no verdict."""

from al_framework.api import Strategy, hookimpl


class Bad(Strategy):
    type_name = "returns_no_verdict"

    def evaluate(self, frame, prediction):
        return True


@hookimpl
def al_register_strategies():
    return [Bad]
