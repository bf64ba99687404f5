"""The host could not build it."""

from al_framework.api import Strategy, Verdict, hookimpl


class Bad(Strategy):
    type_name = "has_a_constructor_of_its_own"

    def __init__(self, path):
        self.path = path

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


@hookimpl
def al_register_strategies():
    return [Bad]
