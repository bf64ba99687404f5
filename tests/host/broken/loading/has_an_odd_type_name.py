"""Types are lower case and underscores."""

from al_framework.api import Strategy, Verdict, hookimpl


class Bad(Strategy):
    type_name = "Blurry-Frames"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


@hookimpl
def al_register_strategies():
    return [Bad]
