"""Its registration fails."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_raises_in_its_hook"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    raise RuntimeError("no licence")
