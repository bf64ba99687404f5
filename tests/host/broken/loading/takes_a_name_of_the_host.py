"""`limits` means something to the host already."""

from pydantic import Field

from al_framework.api import Options, Strategy, Verdict, hookimpl


class BadOptions(Options):
    limits: int = Field(default=1, description="How many.")


class Bad(Strategy[BadOptions]):
    type_name = "takes_a_name_of_the_host"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


@hookimpl
def al_register_strategies():
    return [Bad]
