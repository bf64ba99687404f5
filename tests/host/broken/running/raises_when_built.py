"""Its constructor fails."""

from al_framework.api import Receipt, Sink, hookimpl


class Bad(Sink):
    type_name = "raises_when_built"

    def __init__(self, options, context):
        raise RuntimeError("no disk")

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    return [Bad]
