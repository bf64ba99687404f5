"""Another distribution announces a plugin of this name."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_takes_a_taken_name"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    return [Good]
