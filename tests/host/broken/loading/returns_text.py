"""The class's name instead of the class."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_returns_text"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    return "Good"
