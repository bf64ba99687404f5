"""It ends the process when it is closed."""

import sys

from al_framework.api import Receipt, Sink, hookimpl


class Bad(Sink):
    type_name = "exits_in_close"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")

    def close(self):
        sys.exit(9)


@hookimpl
def al_register_sinks():
    return [Bad]
