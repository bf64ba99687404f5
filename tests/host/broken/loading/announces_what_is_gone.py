"""Its entry point names what the module has not got."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_announces_what_is_gone"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    return [Good]
