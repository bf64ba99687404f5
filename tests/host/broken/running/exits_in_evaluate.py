"""It ends the process at the first frame."""

import sys

from al_framework.api import Strategy, hookimpl


class Bad(Strategy):
    type_name = "exits_in_evaluate"

    def evaluate(self, frame, prediction):
        sys.exit(9)


@hookimpl
def al_register_strategies():
    return [Bad]
