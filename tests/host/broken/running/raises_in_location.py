"""It does not know where it is."""

from al_framework.api import Receipt, Sink, hookimpl


class Bad(Sink):
    type_name = "raises_in_location"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")

    @property
    def location(self):
        raise RuntimeError("nowhere")


@hookimpl
def al_register_sinks():
    return [Bad]
