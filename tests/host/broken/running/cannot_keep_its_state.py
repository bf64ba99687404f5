"""What it remembers is no JSON."""

from al_framework.api import Strategy, Verdict, hookimpl


class Bad(Strategy):
    type_name = "cannot_keep_its_state"

    stateful = True

    def evaluate(self, frame, prediction):
        return Verdict(match=True)

    def state_dict(self):
        return {"seen": object()}


@hookimpl
def al_register_strategies():
    return [Bad]
