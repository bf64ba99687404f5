"""Every datapoint is too much for it."""

from al_framework.api import Sink, hookimpl


class Bad(Sink):
    type_name = "raises_in_deliver"

    def deliver(self, datapoint, checkpoint):
        raise KeyError("bucket")


@hookimpl
def al_register_sinks():
    return [Bad]
