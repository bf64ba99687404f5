"""It ends the process, it thinks."""

import sys

from al_framework.api import Sink, hookimpl


class Bad(Sink):
    type_name = "exits_in_deliver"

    def deliver(self, datapoint, checkpoint):
        sys.exit(9)


@hookimpl
def al_register_sinks():
    return [Bad]
