"""A generator that fails after its first class."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_fails_half_way"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl
def al_register_sinks():
    yield Good
    raise OSError("no licence")
