"""A hook without its marker is a function."""

from al_framework.api import Receipt, Sink


class Good(Sink):
    type_name = "good_forgets_the_marker"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


def al_register_sinks():
    return [Good]
