"""Its entry point names a class."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_announces_a_class"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    return [Good]
