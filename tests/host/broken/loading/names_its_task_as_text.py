"""A text is a set of letters."""

from al_framework.api import Strategy, Verdict, hookimpl


class Bad(Strategy):
    type_name = "names_its_task_as_text"
    tasks = "object-detection"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


@hookimpl
def al_register_strategies():
    return [Bad]
