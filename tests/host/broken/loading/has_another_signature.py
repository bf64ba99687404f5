"""The method that is called takes less."""

from al_framework.api import Strategy, Verdict, hookimpl


class Bad(Strategy):
    type_name = "has_another_signature"

    def evaluate(self, frame):
        return Verdict(match=True)


@hookimpl
def al_register_strategies():
    return [Bad]
