"""The host builds the objects, one for each entry of the configuration."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_returns_an_instance"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


class Context:
    name = "mine"


@hookimpl
def al_register_sinks():
    return [Good(None, Context())]
