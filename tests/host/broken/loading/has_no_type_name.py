"""Nobody could name it in a configuration."""

from al_framework.api import Strategy, Verdict, hookimpl


class Bad(Strategy):
    type_name = None

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


@hookimpl
def al_register_strategies():
    return [Bad]
