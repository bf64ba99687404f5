"""Singular instead of plural."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_misspells_its_hook"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sink():
    return [Good]
