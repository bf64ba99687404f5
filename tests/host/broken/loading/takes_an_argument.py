"""Registration hooks get none."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_takes_an_argument"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks(registry):
    return [Good]
