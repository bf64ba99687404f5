"""The word `return` is missing."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_returns_nothing"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    [Good]  # noqa: B018 - the fault
