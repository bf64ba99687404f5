"""A class, where a list of them is asked for."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_returns_a_class"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    return Good
