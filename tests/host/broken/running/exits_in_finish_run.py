"""It ends the process when the run is over."""

import sys

from al_framework.api import Receipt, Sink, hookimpl


class Bad(Sink):
    type_name = "exits_in_finish_run"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")

    def finish_run(self, summary):
        sys.exit(9)


@hookimpl
def al_register_sinks():
    return [Bad]
