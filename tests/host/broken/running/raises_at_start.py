"""It cannot get ready."""

from al_framework.api import Strategy, Verdict, hookimpl


class Bad(Strategy):
    type_name = "raises_at_start"

    def start(self):
        raise RuntimeError("no model")

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


@hookimpl
def al_register_strategies():
    return [Bad]
