"""A sink, where sources are asked for."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_returns_another_kind"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sources():
    return [Good]
