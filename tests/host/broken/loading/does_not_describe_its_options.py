"""Nobody knows what to write."""

from al_framework.api import Options, Strategy, Verdict, hookimpl


class BadOptions(Options):
    first: int = 1
    second: int = 2


class Bad(Strategy[BadOptions]):
    type_name = "does_not_describe_its_options"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


@hookimpl
def al_register_strategies():
    return [Bad]
