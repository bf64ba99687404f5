"""Nobody knows whether it holds the datapoint."""

from al_framework.api import Sink, hookimpl


class Bad(Sink):
    type_name = "returns_no_receipt"

    def deliver(self, datapoint, checkpoint):
        return None


@hookimpl
def al_register_sinks():
    return [Bad]
