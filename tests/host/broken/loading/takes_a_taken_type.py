"""Another plugin provides this type; the rest of this one is used."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "sound"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    return [Good]
