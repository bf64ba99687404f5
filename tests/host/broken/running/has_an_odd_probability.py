"""It wants a frame twice."""

from al_framework.api import Strategy, Verdict, hookimpl


class Bad(Strategy):
    type_name = "has_an_odd_probability"

    def evaluate(self, frame, prediction):
        return Verdict(match=True, probability=2.0)


@hookimpl
def al_register_strategies():
    return [Bad]
