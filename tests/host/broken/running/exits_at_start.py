"""It ends the process."""

import sys

from al_framework.api import Receipt, Sink, hookimpl


class Bad(Sink):
    type_name = "exits_at_start"

    def start(self):
        sys.exit("no key")

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    return [Bad]
