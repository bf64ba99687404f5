"""A typing error in its options would go unnoticed."""

from pydantic import ConfigDict

from al_framework.api import Options, Strategy, Verdict, hookimpl


class BadOptions(Options):
    model_config = ConfigDict(extra="allow")


class Bad(Strategy[BadOptions]):
    type_name = "lets_unknown_options_pass"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


@hookimpl
def al_register_strategies():
    return [Bad]
