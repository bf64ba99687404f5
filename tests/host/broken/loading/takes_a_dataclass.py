"""Options are pydantic models, so that they can be checked."""

from dataclasses import dataclass

from al_framework.api import Strategy, Verdict, hookimpl


@dataclass
class BadOptions:
    bound: float = 0.5


class Bad(Strategy[BadOptions]):
    type_name = "takes_a_dataclass"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


@hookimpl
def al_register_strategies():
    return [Bad]
