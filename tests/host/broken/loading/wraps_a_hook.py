"""A wrapper would answer for other plugins."""

from al_framework.api import Receipt, Sink, hookimpl


class Good(Sink):
    type_name = "good_wraps_a_hook"

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")


@hookimpl(wrapper=True)
def al_register_sinks():
    return (yield)
