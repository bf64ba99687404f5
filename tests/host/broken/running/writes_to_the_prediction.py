"""Other strategies see the same arrays."""

from al_framework.api import Strategy, Verdict, hookimpl


class Bad(Strategy):
    type_name = "writes_to_the_prediction"
    tasks = frozenset({"object-detection"})

    def evaluate(self, frame, prediction):
        prediction.confidence[:] = 1.0
        return Verdict(match=True)


@hookimpl
def al_register_strategies():
    return [Bad]
